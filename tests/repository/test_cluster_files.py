"""The files of cluster/: what they say is what this version of symstudy and of Ray understands."""

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from symstudy.cli.app import app

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
)
IMAGE = f"symstudy:{PROJECT['version']}"
SCRIPTS = [CLUSTER / "slurm" / "symstudy.sbatch"]
PODS = ("raycluster", "rayjob")


def load(name: str) -> Any:
    """Return the documents of a YAML file: one, or a list of several."""
    documents = list(yaml.safe_load_all((CLUSTER / name).read_text()))
    return documents if len(documents) > 1 else documents[0]


def cluster_spec(name: str) -> Any:
    """Return the RayCluster of a Kubernetes file."""
    spec = load(f"kubernetes/{name}.yaml")["spec"]
    return spec.get("rayClusterSpec", spec)


def pod_specs(name: str) -> dict[str, Any]:
    """Return the pods of a Kubernetes file that run Ray, by their group."""
    spec = cluster_spec(name)
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    return {key: g["template"] for key, g in {"head": spec["headGroupSpec"], **groups}.items()}


def parse(command: str) -> None:
    """Have the command line of symstudy or of Ray read `command`, without running it."""
    words = shlex.split(command)
    if words[:3] == ["python", "-m", "symstudy.launch.cluster.preemption"]:
        assert words[3] == "--seconds"
        assert float(words[4]) > 0
        return
    if words[0] == "symstudy":
        group: Any = typer.main.get_command(app)
        program = group.commands[words[1]]
    else:
        from ray.scripts.scripts import cli

        assert words[0] == "ray"
        program = cli.commands[words[1]]
    program.make_context(words[1], words[2:]).close()


# Kubernetes


OBJECT = {"type": "object"}
INTEGER = {"type": "integer", "minimum": 0}


def closed(required: str = "", **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields and no other."""
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": required.split(),
    }


def several(items: Any) -> dict[str, Any]:
    """Return the schema of a list that is not empty."""
    return {"type": "array", "items": items, "minItems": 1}


# What we use of ray.io/v1 (KubeRay 1.5.1 to 1.7) and of a pod; a field outside of this is a typing
# mistake, or is to be looked up first.
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": TEXT}
RESOURCES = closed(
    "requests limits",
    requests=closed("cpu memory", cpu=TEXT, memory=TEXT),
    limits=closed("cpu memory", cpu=TEXT, memory=TEXT),
)
CONTAINER = closed(
    "name image resources securityContext",
    name=TEXT,
    image=TEXT,
    securityContext=closed(
        "allowPrivilegeEscalation", allowPrivilegeEscalation={"const": False}, capabilities=OBJECT
    ),
    ports=several(closed("containerPort name", containerPort=INTEGER, name=TEXT)),
    resources=RESOURCES,
    lifecycle=closed("preStop", preStop=closed("exec", exec=closed("command", command=OBJECT))),
    envFrom=several(closed("secretRef", secretRef=OBJECT)),
    volumeMounts=several(
        closed("name mountPath", name=TEXT, mountPath=TEXT, readOnly={"type": "boolean"})
    ),
)
CONTAINER["properties"]["lifecycle"]["properties"]["preStop"]["properties"]["exec"]["properties"][
    "command"
] = several(TEXT)
POD = closed(
    "metadata spec",
    metadata=closed("labels", labels=TEXTS),
    spec=closed(
        "containers securityContext",
        terminationGracePeriodSeconds=INTEGER,
        restartPolicy={"const": "Never"},
        securityContext=closed(
            "runAsNonRoot runAsUser",
            runAsNonRoot={"const": True},
            runAsUser={"const": 1000},
            fsGroup=INTEGER,
            seccompProfile=OBJECT,
        ),
        containers=several(CONTAINER),
        volumes=several(closed("name", name=TEXT, persistentVolumeClaim=OBJECT, configMap=OBJECT)),
        affinity=OBJECT,
        tolerations=several(closed("key operator effect", key=TEXT, operator=TEXT, effect=TEXT)),
    ),
)
RAY_CLUSTER = closed(
    "rayVersion authOptions headGroupSpec workerGroupSpecs",
    rayVersion=TEXT,
    authOptions=closed("mode", mode={"const": "token"}),
    enableInTreeAutoscaling={"const": True},
    autoscalerOptions=closed(
        "version", version={"const": "v2"}, idleTimeoutSeconds=INTEGER, resources=RESOURCES
    ),
    headGroupSpec=closed("rayStartParams template", rayStartParams=TEXTS, template=POD),
    workerGroupSpecs=several(
        closed(
            "groupName replicas minReplicas maxReplicas rayStartParams template",
            groupName=TEXT,
            replicas=INTEGER,
            minReplicas=INTEGER,
            maxReplicas=INTEGER,
            rayStartParams=TEXTS,
            template=POD,
        )
    ),
)
RAY_JOB = closed(
    "entrypoint rayClusterSpec",
    entrypoint=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode"]},
    backoffLimit=INTEGER,
    shutdownAfterJobFinishes={"const": True},
    ttlSecondsAfterFinished=INTEGER,
    submitterPodTemplate=POD,
    rayClusterSpec=RAY_CLUSTER,
)


@pytest.mark.parametrize(
    ("name", "kind", "spec"),
    [("raycluster", "RayCluster", RAY_CLUSTER), ("rayjob", "RayJob", RAY_JOB)],
)
def test_a_kuberay_file_has_fields_that_kuberay_knows(name, kind, spec):
    schema = closed(
        "apiVersion kind metadata spec",
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=closed("name", name=TEXT),
        spec=spec,
    )
    jsonschema.validate(load(f"kubernetes/{name}.yaml"), schema)


@pytest.mark.parametrize("name", PODS)
def test_pods_run_our_image_with_the_ray_that_is_pinned(name):
    assert cluster_spec(name)["rayVersion"] == PINS["ray"]
    for group, pod in pod_specs(name).items():
        assert [container["image"] for container in pod["spec"]["containers"]] == [IMAGE], group


@pytest.mark.parametrize("name", PODS)
def test_pods_have_time_to_save_before_they_go(name):
    for group, pod in pod_specs(name).items():
        (container,) = pod["spec"]["containers"]
        words = container["lifecycle"]["preStop"]["exec"]["command"]
        parse(shlex.join(words))
        assert float(words[-1]) + 15 <= pod["spec"]["terminationGracePeriodSeconds"], group


@pytest.mark.parametrize("name", PODS)
def test_all_pods_of_a_cluster_share_the_results(name):
    claim, _ = load("kubernetes/access.yaml")
    for group, pod in pod_specs(name).items():
        (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == "results"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"], group
        (container,) = pod["spec"]["containers"]
        assert {"name": "results", "mountPath": "/results"} in container["volumeMounts"], group
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize("name", PODS)
def test_spot_workers_come_and_go(name):
    spec = cluster_spec(name)
    (spot,) = [group for group in spec["workerGroupSpecs"] if group["groupName"] == "spot"]
    pod = spot["template"]["spec"]
    assert (spot["minReplicas"], pod["tolerations"][-1]["key"]) == (0, "spot")
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert len(required["nodeSelectorTerms"]) == 4
    assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}


def test_only_the_cluster_and_its_operator_reach_the_pods():
    _, policy = load("kubernetes/access.yaml")
    selector = policy["spec"]["podSelector"]["matchLabels"]
    own, operator = policy["spec"]["ingress"]
    assert own == {"from": [{"podSelector": {"matchLabels": selector}}]}
    assert operator["ports"] == [{"port": 8265, "protocol": "TCP"}]
    templates = [pod for name in PODS for pod in pod_specs(name).values()]
    templates.append(load("kubernetes/rayjob.yaml")["spec"]["submitterPodTemplate"])
    for template in templates:
        assert template["metadata"]["labels"].items() >= selector.items()


def test_the_entrypoint_of_the_job_is_a_command_of_symstudy():
    spec = load("kubernetes/rayjob.yaml")["spec"]
    parse(spec["entrypoint"])
    head = pod_specs("rayjob")["head"]["spec"]
    mounts = {mount["mountPath"] for mount in head["containers"][0]["volumeMounts"]}
    assert set(re.findall(r"/(?:study|results)\b", spec["entrypoint"])) == mounts


# AWS


def test_the_aws_file_is_what_ray_up_reads():
    import ray
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    config = load("aws/cluster.yaml")
    jsonschema.validate(config, json.loads(schema.read_text()))
    prepared = prepare_config(config)
    validate_config(prepared)
    types = prepared["available_node_types"]
    market = types["spot"]["node_config"]["InstanceMarketOptions"]
    assert market == {"MarketType": "spot"}
    assert types["head"]["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in types["head"]["node_config"]


def test_the_aws_cluster_has_a_token_and_listens_on_the_head_alone():
    config = load("aws/cluster.yaml")
    options = " ".join(config["docker"]["run_options"])
    assert "--env RAY_AUTH_MODE=token" in options
    (token,) = re.findall(r"RAY_AUTH_TOKEN_PATH=(\S+)", options)
    assert config["file_mounts"] == {token: "~/.ray/auth_token"}
    assert config["docker"]["image"].endswith(f"/{IMAGE}")
    groups = [t["node_config"]["SecurityGroupIds"] for t in config["available_node_types"].values()]
    assert groups == [["<security-group>"]] * 3
    for command in config["head_start_ray_commands"] + config["worker_start_ray_commands"]:
        parse(command.replace("$RAY_HEAD_IP", "192.0.2.1"))
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][1]


# Docker


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments."""
    text = (CLUSTER / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines]


def test_the_image_is_made_of_the_wheel_and_the_constraints_alone():
    found = instructions()
    assert {name for name, _ in found} <= {
        "ARG", "FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "CMD",
    }  # fmt: skip
    own = [what for name, what in found if name == "COPY" and "--from=" not in what]
    assert own == ["symstudy-*.whl constraints.txt /build/"]
    (install,) = [what for name, what in found if name == "RUN" and "pip install" in what]
    assert "--constraint /build/constraints.txt" in install
    (extras,) = re.findall(r"\[([\w,]+)\]", install)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_image_runs_as_somebody_else_than_root():
    found = instructions()
    names = [name for name, _ in found]
    assert found[names.index("USER")][1] == "ray"
    assert "useradd --uid 1000" in " ".join(what for _, what in found)
    assert names.index("USER") < names.index("CMD")
    assert not [name for name in names[names.index("USER") + 1 :] if name == "USER"]


def test_the_image_has_a_python_that_is_supported_and_asks_for_a_token():
    values = dict(what.split("=", 1) for name, what in instructions() if what.startswith("PYTHON="))
    assert f"Programming Language :: Python :: {values['PYTHON']}" in PROJECT["classifiers"]
    assert any("RAY_AUTH_MODE=token" in what for name, what in instructions() if name == "ENV")


def test_login_shells_of_the_image_find_its_programs():
    (path,) = [what for name, what in instructions() if name == "ENV"]
    (setup,) = [what for name, what in instructions() if "/etc/profile.d/" in what]
    assert path.startswith("PATH=/opt/symstudy/bin:$PATH ")
    assert "echo 'export PATH=/opt/symstudy/bin:$PATH' > /etc/profile.d/symstudy.sh" in setup


# All of them


def test_every_file_is_checked():
    files = {str(path.relative_to(CLUSTER)) for path in CLUSTER.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "aws/cluster.yaml",
        "docker/Dockerfile",
        "kubernetes/access.yaml",
        "kubernetes/raycluster.yaml",
        "kubernetes/rayjob.yaml",
        "slurm/symstudy.sbatch",
    }


def test_no_file_opens_the_dashboard_to_the_world():
    for path in CLUSTER.rglob("*"):
        if path.is_file() and path.name != "README.md":
            assert "0.0.0.0" not in path.read_text(), path.name
            assert "RAY_AUTH_MODE=disabled" not in path.read_text(), path.name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound_to_bash(path):
    subprocess.run(["bash", "-n", path], check=True)


def test_the_commands_of_the_script_are_those_of_ray_and_symstudy():
    text = (CLUSTER / "slurm" / "symstudy.sbatch").read_text().replace("\\\n", " ")
    found = re.findall(r"^\s*((?:ray|symstudy) (?:start|run) .*?)(?: >.*)?&$", text, re.MULTILINE)
    assert len(found) == 3
    for command in found:
        numbers = re.sub(r'"\$\{SLURM_\w+:-\d\}"|"\$client_port"', "20000", command)
        values = numbers.replace('"$@"', "study.toml --results /results")
        parse(re.sub(r'"?\$\w+"?', "192.0.2.1:1", values))


def test_the_job_is_told_in_time_and_goes_back_to_the_queue():
    text = (CLUSTER / "slurm" / "symstudy.sbatch").read_text()
    directives = re.findall(r"^#SBATCH (\S+)", text, re.MULTILINE)
    assert {"--signal=B:USR1@120", "--requeue", "--open-mode=append"} <= set(directives)
