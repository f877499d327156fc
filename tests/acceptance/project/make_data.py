"""Writes small data in the formats of their authors; seconds, no network."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

rng = np.random.default_rng(0)


def cifar(folder: Path, images: int) -> None:
    """Write batches as the authors of CIFAR-10 pickle them: flat rows, red before green."""
    folder.mkdir(exist_ok=True)
    for name, count in [("data_batch_1", images), ("test_batch", images // 2)]:
        labels = np.arange(count) % 10
        pixels = rng.integers(0, 128, (count, 3072))
        pixels[np.arange(count), labels * 300] = 255
        batch = {
            b"batch_label": name.encode(),
            b"labels": labels.tolist(),
            b"data": pixels.astype(np.uint8),
            b"filenames": [f"{name}_{i}.png".encode() for i in range(count)],
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    meta = {b"label_names": [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog"]}
    meta[b"label_names"] += [b"horse", b"ship", b"truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))


def table(path: Path, rows: int) -> None:
    """Write a table with columns of several types, as data frames are saved."""
    age, income = rng.integers(18, 80, rows), rng.lognormal(10, 1, rows)
    x = (age - 45) / 20 + np.log(income) - 10
    columns = {
        "customer": pa.array([f"c{i:04d}" for i in range(rows)]),
        "age": pa.array(age.astype(np.int16)),
        "log_income": pa.array(np.log(income).astype(np.float32)),
        "is_member": pa.array(x + rng.normal(size=rows) > 0),
        "segment": pa.array(np.where(x > 0, "premium", "basic").tolist()),
    }
    pq.write_table(pa.table(columns), path)


def formula(path: Path, rows: int) -> None:
    """Write a formula of physics as a csv file, a line a point (Udrescu and Tegmark 2020)."""
    charge, distance = rng.uniform(1, 3, rows), rng.uniform(1, 3, rows)
    lines = [f"{q:.6f},{r:.6f},{q / r**2:.6f}" for q, r in zip(charge, distance, strict=True)]
    path.write_text("\n".join(["charge,distance,field", *lines]) + "\n")


def main() -> None:
    """Write everything into the working directory."""
    cifar(Path("cifar-10-batches-py"), images=40)
    table(Path("customers.parquet"), rows=200)
    formula(Path("field.csv"), rows=100)
    Path("input.txt").write_text("to be or not to be, that is the question. " * 12)


if __name__ == "__main__":
    main()
