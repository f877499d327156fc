import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.numpy import save_file

from symstudy.datasets import stored
from symstudy.datasets.file import FileConfig
from symstudy.errors import DataError, LaunchError, StudyFileError
from symstudy.launch.cluster.environment import require_files

TABLE = {"kind": "file", "task": "regression"}
CLASSES = {"kind": "file", "task": "classification", "target": "label"}


def write_csv(path, x, y):
    rows = [f"{a!r},{b!r},{c!r}" for a, b, c in np.hstack([x, y]).tolist()]
    path.write_text("\n".join(["x1,x2,y", *rows]) + "\n")
    return {"train": path.name}


def write_parquet(path, x, y):
    parquet.write_table(pa.table({"x1": x[:, 0], "x2": x[:, 1], "y": y[:, 0]}), path)
    return {"train": path.name}


def write_npz(path, x, y):
    np.savez(path, x=x, y=y)
    return {"train": path.name}


def write_npy(path, x, y):
    np.save(path, x)
    np.save(path.with_name("targets.npy"), y[:, 0])
    return {"train": path.name, "train_labels": "targets.npy"}


def write_safetensors(path, x, y):
    save_file({"x": x, "y": y}, path)
    return {"train": path.name}


WRITERS = {
    "csv": write_csv,
    "parquet": write_parquet,
    "npz": write_npz,
    "npy": write_npy,
    "safetensors": write_safetensors,
}


@pytest.mark.parametrize("end", WRITERS)
def test_every_format_holds_the_numbers_that_were_written(end, place, table, task_of):
    x, y = table
    task = task_of({**TABLE, **WRITERS[end](place / f"data.{end}", x, y), "split": "last"})
    np.testing.assert_array_equal(np.vstack([task.x_train, task.x_test]), x)
    np.testing.assert_array_equal(np.vstack([task.y_train, task.y_test]), y)
    assert len(task.x_test) == 6


@pytest.mark.parametrize("end", WRITERS)
def test_every_format_trains_to_the_same_losses(end, place, table, study_on, trained):
    reference = study_on({**TABLE, **write_npz(place / "reference.npz", *table)})
    study = study_on({**TABLE, **WRITERS[end](place / f"data.{end}", *table)})
    np.testing.assert_array_equal(trained(study)["test_loss"], trained(reference)["test_loss"])


def mistakes(study_on, data):
    with pytest.raises(StudyFileError) as caught:
        study_on(data)
    return {mistake.key: mistake.what for mistake in caught.value.mistakes}


def csv(place, text, name="data.csv", **keys):
    (place / name).write_bytes(text.encode())
    return {"kind": "file", "train": name, **keys}


def test_a_run_is_known_by_what_the_file_holds_not_by_where_it_lies(place, table, study_on):
    x, y = table
    here = study_on({**TABLE, **write_npz(place / "a.npz", x, y)}).cells[0]
    (place / "below").mkdir()
    (place / "a.npz").rename(place / "below" / "b.npz")
    there = study_on({**TABLE, "train": "below/b.npz"}).cells[0]
    changed = study_on({**TABLE, **write_npz(place / "a.npz", x + 1, y)}).cells[0]
    assert here.cell_id == there.cell_id
    assert changed.cell_id != here.cell_id
    assert str(place) not in here.identity


def test_a_packed_csv_is_the_same_data(place, table, study_on):
    import gzip

    write_csv(place / "a.csv", *table)
    (place / "a.csv.gz").write_bytes(gzip.compress((place / "a.csv").read_bytes()))
    plain, packed = (study_on({**TABLE, "train": name}).cells[0] for name in ("a.csv", "a.csv.gz"))
    assert plain.cell_id == packed.cell_id


def test_a_file_is_looked_for_beside_the_study_file(place, table, study_on):
    from symstudy.study import load_study

    (place / "inner").mkdir()
    write_npz(place / "inner" / "a.npz", *table)
    (place / "inner" / "s.toml").write_text(
        'schema = 1\nname = "s"\n[model]\nkind = "fcn"\n'
        '[data]\nkind = "file"\ntask = "regression"\ntrain = "a.npz"\n[train]\nlr = 0.1\n'
    )
    assert load_study(place / "inner" / "s.toml").cells[0].data.shape.inputs == 2


def test_quotes_a_byte_order_mark_and_spaces_are_read(place, task_of):
    text = '\ufeffname,"x, first",x2,label\n"a ""b""", 1.5,2,"red\nwine"\nc,3,4,blue\nd,5,6,blue\n'
    task = task_of(csv(place, text, **CLASSES, inputs=["x, first", "x2"], split="last"))
    np.testing.assert_array_equal(task.x_train, [[1.5, 2], [3, 4]])
    np.testing.assert_array_equal(task.y_train, [[0, 1], [1, 0]])


def test_numbers_of_classes_are_their_order(place, task_of):
    data = csv(place, "x,label\n1,7\n2,3\n3,7\n", **CLASSES, split="last")
    np.testing.assert_array_equal(task_of(data).y_train, [[0, 1], [1, 0]])


def test_a_text_that_looks_missing_is_a_class(place, task_of):
    data = csv(place, "x,label\n1,NA\n2,None\n3,NA\n", **CLASSES, split="last")
    np.testing.assert_array_equal(task_of(data).y_train, [[1, 0], [0, 1]])


def test_a_missing_value_is_refused_with_its_row_or_dropped(place, study_on, task_of):
    data = csv(place, "x,y\n1,1\n,2\nNA,3\n4,4\n", **TABLE)
    what = mistakes(study_on, data)["data.train"]
    assert "'x' lacks 2 of 4, row 2 first" in what
    assert "missing = 'drop'" in what
    task = task_of({**data, "missing": "drop", "split": "last"})
    np.testing.assert_array_equal(np.vstack([task.x_train, task.x_test]), [[1], [4]])


@pytest.mark.parametrize(
    ("text", "keys", "key", "what"),
    [
        ("x,y\n1,1\n2,2\n", {"target": "y1"}, "target", "Did you mean 'y'?"),
        ("x,y\n1,1\n2,2\n", {"inputs": ["z"]}, "inputs", "Known: x, y"),
        ("1,2\n3,4\n", {}, "train", "first line must hold the names"),
        ("x,x,y\n1,2,3\n", {}, "train", "two columns have the name 'x'"),
        ("", {}, "train", "it is empty"),
        ("x,y\nred,1\nblue,2\n", {}, "inputs", "'x' holds 'red'"),
        ("x,y\n1,1\ntall,2\n", {}, "inputs", "'x' holds 'tall' in row 2"),
        ("x,y\n1,red\n2,blue\n", {}, "target", "task = 'classification'"),
        ("x,y\n1,1\ninf,2\n", {}, "inputs", "row 2 first"),
        ("x,y\n1,1\n2,2\n", {"samples": 3}, "samples", "at most the 1 samples"),
        ("x,y\n1,1\n2,2\n", {"input_shape": [2, 2]}, "input_shape", "product of 1"),
        ("x,y\n1,1\n2,2\n", {"augment": ["flip"]}, "augment", "no images"),
        ("x,y\n1,1\n2,2\n", {"test": "no.csv"}, "test", "found none of"),
        ("x,y\n1,1\n", {}, "train", "at least 2 samples"),
        ("x,y\n", {}, "train", "must hold samples"),
        ("x,y\n1,1\n2,2\n", {"inputs": ["x", "y"]}, "inputs", "'y' is a target too"),
        ("y\n1\n2\n", {}, "inputs", "none beside the target"),
        ("x,y\n1,1\n2,2\n", {"task": "classification", "label_noise": 2}, "label_noise", "most 1"),
        ("x,y\n1,1\n2,1\n", {"task": "classification"}, "target", "at least 2 classes"),
        ("x,y\n1,inf\n2,1\n", {"task": "classification"}, "target", "finite"),
        ("x,y\n1,1.5\n2,1\n", {"task": "classification"}, "target", "got 1.5"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_training(place, study_on, text, keys, key, what):
    found = mistakes(study_on, {**csv(place, text, **TABLE), **keys})
    assert what in found[f"data.{key}"], found


def test_a_study_whose_files_are_there_may_be_run(place, study_on):
    rows = "".join(f"{i},{i}\n" for i in range(20))
    study = study_on(csv(place, f"x,y\n{rows}", **TABLE))
    assert not list(study.notes)
    require_files(study)


def test_a_class_that_the_training_file_lacks_is_refused_unless_declared(place, study_on, task_of):
    csv(place, "x,label\n1,blue\n", name="test.csv")
    data = csv(place, "x,label\n1,red\n2,green\n", **CLASSES, test="test.csv")
    what = mistakes(study_on, data)["data.target"]
    assert "row 1 of the test data is 'blue'" in what
    task = task_of({**data, "classes": ["red", "green", "blue"]})
    np.testing.assert_array_equal(task.y_test, [[0, 0, 1]])


def test_inputs_of_other_widths_in_the_test_file_are_refused(place, study_on):
    np.savez(place / "a.npz", x=np.zeros((4, 3)), y=np.zeros(4))
    np.savez(place / "b.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    found = mistakes(study_on, {**TABLE, "train": "a.npz", "test": "b.npz"})
    assert "shape [3]" in found["data.test"]


def test_objects_in_an_archive_are_never_unpickled(place, study_on):
    np.savez(place / "a.npz", x=np.array([{}, {}], dtype=object), y=np.zeros(2))
    found = mistakes(study_on, {**TABLE, "train": "a.npz"})
    assert "allow_pickle" in found["data.train"]


def test_one_of_several_arrays_must_be_named(place, study_on):
    np.savez(place / "a.npz", x=np.zeros((4, 2)), ids=np.arange(4), y=np.zeros(4))
    found = mistakes(study_on, {**TABLE, "train": "a.npz"})
    assert "x, ids in" in found["data.inputs"]


def test_a_configuration_whose_files_were_not_read_has_no_samples(place, table):
    config = FileConfig(task="regression", **write_npz(place / "a.npz", *table))
    with pytest.raises(DataError, match="study that was read"):
        config.build(0)


def test_other_names_in_the_test_file_and_axes_of_images_are_kept(place, study_on):
    x = np.arange(4 * 3 * 2 * 2, dtype=np.uint8).reshape(4, 3, 2, 2)
    np.savez(place / "a.npz", x_train=x, y_train=[0, 1, 0, 1], x_test=x[:2], y_test=[1, 0])
    data = study_on(
        {"kind": "file", "task": "classification", "train": "a.npz", "test": "a.npz",
         "inputs": ["x_train"], "target": "y_train", "test_inputs": ["x_test"],
         "test_target": "y_test"},
        train={"lr": 0.1, "batch_size": 2},
    ).cells[0].data  # fmt: skip
    assert data.shape.input_shape == (3, 2, 2)
    task = data.build(0)
    assert task.x_train.dtype == np.float32
    np.testing.assert_array_equal(task.x_train.reshape(x.shape), x)


def test_tokens_stay_integers_and_only_a_module_of_ones_own_takes_them(place, study_on):
    np.savez(place / "a.npz", x=np.arange(24).reshape(8, 3), y=np.arange(8) % 2)
    data = {"kind": "file", "task": "classification", "train": "a.npz", "integers": True}
    assert "torch module of your own" in mistakes(study_on, data)["model.kind"]
    study = study_on(data, model={"kind": "torch.nn:Linear", "in_features": 3, "out_features": 2})
    assert study.cells[0].data.shape.is_integer
    assert study.cells[0].data.build(0).x_train.dtype == np.int64


def test_standardisation_is_fitted_on_the_training_part_alone(place, table, task_of):
    x, y = table
    data = {**TABLE, **write_npz(place / "a.npz", x, y), "split": "last", "standardise": "all"}
    task = task_of(data)
    np.testing.assert_allclose(task.x_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(task.x_train.std(axis=0), 1)
    np.testing.assert_allclose(task.y_train.std(axis=0), 1)
    np.testing.assert_allclose(task.x_test, (x[24:] - x[:24].mean(0)) / x[:24].std(0))
    few = task_of({**data, "samples": 6})
    np.testing.assert_array_equal(few.x_train, task.x_train[:6])


def test_an_input_that_does_not_vary_is_only_centred(place, task_of):
    x = np.stack([np.full(10, 7.0), np.arange(10.0)], axis=1)
    np.savez(place / "a.npz", x=x, y=np.arange(10.0))
    task = task_of({**TABLE, "train": "a.npz", "standardise": "inputs"})
    assert (task.x_train[:, 0] == 0).all()
    assert np.isfinite(task.x_test).all()


@pytest.mark.parametrize("standardise", ["inputs", "channels", "all"])
def test_what_does_not_vary_is_told_by_the_numbers_not_by_a_rounded_spread(
    standardise, place, task_of
):
    value, other = 0.1, 0.1001  # sixty times 0.1, summed and divided by 60, is not 0.1
    x, y = np.full((60, 2, 1, 1), value), np.full((60, 2), value)
    x[:, 1, 0, 0] = y[:, 1] = np.arange(60.0)
    np.savez(place / "a.npz", x=x, y=y)
    np.savez(place / "b.npz", x=np.where(x == value, other, x), y=np.where(y == value, other, y))
    task = task_of({**TABLE, "train": "a.npz", "test": "b.npz", "standardise": standardise})
    assert (task.x_train[:, 0] == 0).all()
    np.testing.assert_array_equal(task.x_test[:, 0], other - value)
    if standardise == "all":
        assert (task.y_train[:, 0] == 0).all()
        np.testing.assert_array_equal(task.y_test[:, 0], other - value)


def test_words_that_only_python_reads_as_numbers_are_words(place, task_of, study_on):
    data = csv(place, "x,label\n" + "1,1_0\n2,10\n3,1_1\n" * 4, split="last")
    task = task_of({**CLASSES, **data})
    np.testing.assert_array_equal(task.y_train[:3].argmax(axis=1), [1, 0, 2])
    data = csv(place, "x,y\n" + "1_000,1\n2,3\n" * 4)
    assert "'x' holds '1_000' in row 1" in str(mistakes(study_on, {**TABLE, **data}))


def test_a_random_split_is_the_same_for_every_seed_of_the_study(place, table, study_on):
    data = {**TABLE, **write_npz(place / "a.npz", *table)}
    config = study_on(data).cells[0].data
    np.testing.assert_array_equal(config.build(0).x_test, config.build(1).x_test)
    other = study_on({**data, "split_seed": 1}).cells[0].data
    assert not np.array_equal(config.build(0).x_test, other.build(0).x_test)
    rows = np.vstack([config.build(0).x_train, config.build(0).x_test])
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(table[0], axis=0))


def test_a_column_can_say_what_is_for_the_test(place, study_on, task_of):
    data = csv(place, "x,part,y\n1,test,1\n2,train,2\n3,train,3\n", **TABLE, split_column="part")
    task = task_of(data)
    np.testing.assert_array_equal(task.x_test, [[1]])
    np.testing.assert_array_equal(task.x_train, [[2], [3]])
    data = csv(place, "x,part,y\n1,test,1\n2,valid,2\n", **TABLE, split_column="part")
    assert "'valid'" in mistakes(study_on, data)["data.split_column"]


def test_label_noise_is_added_to_the_run(place, table, study_on, trained):
    data = {**TABLE, **write_npz(place / "a.npz", *table)}
    study = study_on(data, sweep={"data.label_noise": [0.0, 3.0]})
    clean, noisy = trained(study)["train_loss"]
    assert noisy > clean


def test_arrays_are_kept_once_a_node_closed_to_others_and_not_written_to(
    place, table, study_on, monkeypatch
):
    monkeypatch.setenv("SYMSTUDY_CACHE", str(place / "arrays"))
    config = study_on({**TABLE, **write_npz(place / "a.npz", *table)}).cells[0].data
    first = config.build(0)
    assert np.shares_memory(first.x_train, config.build(1).x_train)
    assert (place / "arrays").stat().st_mode & 0o777 == 0o700
    with pytest.raises(ValueError, match="read-only"):
        first.x_train[0] = 0
    for cache in (stored.kept_arrays, stored.chosen_arrays):
        cache.cache_clear()
    (place / "a.npz").unlink()
    np.testing.assert_array_equal(config.build(0).x_train, first.x_train)


def test_arrays_that_others_may_change_are_not_taken(place, table, study_on, monkeypatch):
    folder = place / "open to all"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("SYMSTUDY_CACHE", str(folder))
    x, y = table
    config = study_on({**TABLE, **write_npz(place / "a.npz", x + 9, y)}).cells[0].data
    assert len(config.build(0).x_train) == 24
    assert list(folder.iterdir()) == []


def test_data_is_read_where_the_disk_keeps_nothing(place, table, study_on, monkeypatch):
    (place / "file").write_text("not a folder")
    monkeypatch.setenv("SYMSTUDY_CACHE", str(place / "file" / "below"))
    x, y = table
    config = study_on({**TABLE, **write_npz(place / "a.npz", x + 5, y)}).cells[0].data
    assert len(config.build(0).x_train) == 24


def test_a_file_that_changed_since_the_plan_stops_the_pack(place, table, study_on, trained):
    x, y = table
    study = study_on({**TABLE, **write_npz(place / "a.npz", x, y)})
    write_npz(place / "a.npz", x + 1, y)
    with pytest.raises(LaunchError, match="--extend"):
        trained(study)


def test_a_file_is_found_below_the_data_folder_on_another_node(place, table, study_on, monkeypatch):
    home = place / "home" / "set"
    home.mkdir(parents=True)
    config = study_on({**TABLE, **write_npz(home / "a.npz", *table), "train": "home/set/a.npz"})
    other = place / "scratch"
    (other / "set").mkdir(parents=True)
    (home / "a.npz").rename(other / "set" / "a.npz")
    monkeypatch.setenv("SYMSTUDY_CACHE", str(place / "fresh"))
    monkeypatch.setenv("SYMSTUDY_DATA", str(other))
    stored.kept_arrays.cache_clear()
    data = config.cells[0].data
    assert data.check_files() == ""
    assert len(data.build(0).x_train) == 24
    (other / "set" / "a.npz").unlink()
    assert data.check_files() == "" or "a.npz" in data.check_files()


def test_sweeping_over_two_files_with_the_same_content_is_a_mistake(place, table, study_on):
    data = {**TABLE, **write_npz(place / "a.npz", *table)}
    (place / "b.npz").write_bytes((place / "a.npz").read_bytes())
    with pytest.raises(StudyFileError, match="must hold different data"):
        study_on(data, sweep={"data.train": ["a.npz", "b.npz"]})
