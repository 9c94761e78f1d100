"""The workflows name files, targets and jobs that exist, pin what they use, and have few rights.

GitHub's runners are not here: the workflows themselves are not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.house.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: What a job may do beyond reading the checkout, and why.
RIGHTS: dict[str, dict[str, str]] = {
    "images": {"contents": "read", "packages": "write"},
    "indexes": {"packages": "write"},
    "publish": {"id-token": "write"},
    "release": {"contents": "write"},
}
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")


def workflow(path: Path) -> dict[Any, Any]:
    """Return a workflow; its key ``on`` is read as True."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of every job."""
    for path in WORKFLOWS:
        yield from workflow(path)["jobs"].items()


def steps() -> list[dict[str, Any]]:
    """Return the steps of all jobs."""
    return [step for _, job in jobs() for step in job.get("steps", ())]


JOBS = [pytest.param(name, job, id=name) for name, job in jobs()]
SCRIPTS = [step["run"] for step in steps() if "run" in step]
BUILDS = [step["with"] for step in steps() if "docker/build-push-action" in step.get("uses", "")]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
)
def test_files_follow_githubs_schemas(schema: str, files: list[Path]) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [program, "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_one_workflow_for_changes_and_one_for_releases() -> None:
    triggers = {path.stem: workflow(path)[True] for path in WORKFLOWS}
    assert set(triggers) == {"ci", "release"}
    assert {"push", "pull_request", "workflow_call"} <= set(triggers["ci"])
    assert triggers["release"] == {"push": {"tags": ["v*"]}}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.stem))
def test_actions_are_pinned_to_commits(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        if "uses:" not in line:
            continue
        if local := re.search(r"uses: (\./\S+)$", line):
            assert (ROOT / local[1]).is_file()
        else:
            assert PINNED.search(line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.stem))
def test_a_workflow_may_read_the_checkout_and_nothing_else(path: Path) -> None:
    assert workflow(path)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_jobs_rights_are_those_that_it_needs(name: str, job: dict[str, Any]) -> None:
    assert job.get("permissions") == RIGHTS.get(name)
    assert "uses" in job or job["timeout-minutes"] <= 120


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.stem))
def test_jobs_wait_for_jobs_of_their_workflow(path: Path) -> None:
    found = workflow(path)["jobs"]
    for job in found.values():
        needs = job.get("needs", [])
        assert ({needs} if isinstance(needs, str) else set(needs)) <= set(found)


def test_checkouts_keep_no_token() -> None:
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) >= 4
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_parses_and_has_no_text_of_others_in_it(script: str) -> None:
    """An expression in a script is replaced by text, which may be code; variables are not."""
    assert "${{" not in script
    checked = subprocess.run(
        ["bash", "-n"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_programs_and_files_of_scripts_exist() -> None:
    text = "\n".join(SCRIPTS)
    programs = set(re.findall(r"(?:^|\s)((?:tools/|\.ci/)[\w-]+)", text))
    assert programs == {".ci/run", "tools/release-notes", "tools/build-distributions"}
    assert all(os.access(ROOT / program, os.X_OK) for program in programs)
    files = re.findall(r"(?:/checkout/|\s)((?:demo|models|tests|docker)/[\w./-]+)", text)
    named = [name for name in files if not name.endswith("=")]
    assert len(named) >= 3
    assert all((ROOT / name).exists() for name in named)


def test_images_have_targets_and_arguments_of_the_dockerfiles() -> None:
    assert len(BUILDS) == 2
    (matrix,) = (job["strategy"]["matrix"] for name, job in jobs() if name == "images")
    text = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    targets = set(re.findall(r"^FROM .* AS ([\w-]+)$", text, re.MULTILINE))
    assert {*matrix["target"], BUILDS[0]["target"]} - {"vllm"} <= targets
    assert (ROOT / "docker" / "Dockerfile.vllm").is_file()
    assert matrix["architecture"] == ["amd64", "arm64"]
    named = {line.partition("=")[0] for build in BUILDS for line in build["build-args"].split()}
    named = {name for name in named if name.isupper()}
    assert named == {"TORCH_BACKEND", "VERSION", "REVISION", "SOURCE"}
    assert named <= set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
    published = next(build for build in BUILDS if build.get("push"))
    assert published["sbom"] is True
    assert published["provenance"] == "mode=max"


def test_every_supported_python_is_tested() -> None:
    (matrix,) = (
        job["strategy"]["matrix"] for name, job in jobs() if "container" in job and name == "test"
    )
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [each.rpartition(" ")[2] for each in classifiers if ":: 3." in each]
    assert matrix["python"] == supported


def test_the_chart_is_the_one_that_the_guide_names() -> None:
    guide = (ROOT / "docs" / "guides" / "kubernetes.md").read_text("utf-8")
    (version,) = set(re.findall(r"airflow-(\d+\.\d+\.\d+)\.tgz", (WORKFLOWS[0]).read_text("utf-8")))
    assert f"chart {version}" in guide
    assert f"--version {version}" in guide


@pytest.mark.slow
def test_the_distributions_build(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(
        [ROOT / "tools" / "build-distributions", tmp_path], env=environment, check=True, timeout=280
    )
    kinds = sorted(re.sub(r"-\d+\.\d+\.\d+", "", path.name) for path in tmp_path.iterdir())
    assert kinds == [
        "airflow_deepseek_ocr-py3-none-any.whl",
        "airflow_deepseek_ocr.tar.gz",
        "airflow_deepseek_ocr_vllm-py3-none-any.whl",
    ]
