"""What the images contain, what they run as, and a document processed in the worker's."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_deepseek_ocr import __version__
from tests.conftest import ROOT, TINY_MODEL
from tests.docker.client import Docker
from tests.docker.conftest import BASE, Images

#: Bytes that the light image may add to its base; torch for CPUs alone is 700 MB.
MOST_ADDED = 250 << 20
#: Not part of Airflow; the image may have newer ones.
INSTALLERS = {"pip", "setuptools", "uv", "wheel"}
COMPILERS = "for name in cc gcc g++ c++ clang; do command -v $name || true; done"
TARGETS = ["airflow", "worker", "server"]


def test_the_light_image_has_neither_torch_nor_a_compiler(docker: Docker, images: Images) -> None:
    found = docker.shell(
        images.airflow,
        "python -c 'from importlib.util import find_spec as f; "
        'print([m for m in ("torch", "transformers", "triton") if f(m)])\'',
    )
    assert found.strip() == "[]"
    assert docker.shell(images.airflow, COMPILERS) == docker.shell(BASE, COMPILERS)


def test_torch_finds_what_it_compiles_with_in_the_image(docker: Docker, images: Images) -> None:
    # As Triton compiles its launchers: a shared library that includes Python's headers.
    script = """
        echo '#include <Python.h>' >/tmp/launcher.c
        include=$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')
        gcc -shared -fPIC -I"$include" /tmp/launcher.c -o /tmp/launcher.so
    """
    docker.shell(images.worker, script)


@pytest.mark.parametrize("target", TARGETS)
def test_no_package_of_airflow_changed(docker: Docker, images: Images, target: str) -> None:
    before, after = (_versions(docker, image) for image in (BASE, getattr(images, target)))
    changed = {
        name: (version, after.get(name))
        for name, version in before.items()
        if after.get(name) != version and name not in INSTALLERS
    }
    assert "apache-airflow" in before
    assert not changed


@pytest.mark.parametrize("target", TARGETS)
def test_installed_packages_fit_each_other(docker: Docker, images: Images, target: str) -> None:
    docker.shell(getattr(images, target), "uv pip check --cache-dir /tmp/uv")


def test_airflow_lists_the_provider(docker: Docker, images: Images) -> None:
    found = docker(
        *("run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp"),
        *("--env=AIRFLOW_CONFIG=/tmp/airflow.cfg", "--env=CONNECTION_CHECK_MAX_COUNT=0"),
        *(images.airflow, "airflow", "providers", "list", "--output=plain"),
    )
    lines = [line.split() for line in found.splitlines()]
    assert [__version__] == [line[-1] for line in lines if line[0] == "airflow-deepseek-ocr"]


def test_the_worker_reads_a_document_without_rights(docker: Docker, images: Images) -> None:
    found = docker.shell(
        images.worker,
        "id --user; airflow-deepseek-ocr read /documents/letter.tiff --model /checkpoint --resolution small",
        f"--volume={TINY_MODEL}:/checkpoint:ro",
        f"--volume={ROOT}/demo/documents:/documents:ro",
    )
    assert found.startswith("50000\n")
    assert "It will come on May 21, 2026" in found


def test_weights_and_compiled_layers_are_kept_in_the_volume(docker: Docker, images: Images) -> None:
    code = (
        "import os; from pathlib import Path; "
        "from airflow_deepseek_ocr.engines.in_process.compilation import use_compiler_cache; "
        "from airflow_deepseek_ocr.model.weights.source import default_cache_dir; "
        "use_compiler_cache(); "
        "names = 'TORCHINDUCTOR_CACHE_DIR', 'TRITON_CACHE_DIR', 'CUDA_CACHE_PATH', 'HF_HOME'; "
        "print(*(Path(d).resolve() for d in (default_cache_dir(), *(os.environ[n] for n in names))))"
    )
    with docker.volume() as volume:
        found = docker.shell(images.worker, f'python -c "{code}"', f"--volume={volume}:/models")
    assert found.split() == [
        "/models",
        "/models/compiled",
        "/models/compiled/triton",
        "/models/compiled/cuda",
        "/models/huggingface",
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_images_have_neither_weights_nor_secrets_nor_sources(
    docker: Docker, images: Images, target: str
) -> None:
    image = getattr(images, target)
    found = docker.shell(
        image,
        r"find / -xdev \( -name '*.safetensors' -o -name '.env' -o -name '.git' -o -name 'api-key' "
        r"-o -name 'id_*' -path '*/.ssh/*' -o -path '/tmp/source*' -o -path '/tmp/wheels*' "
        r"-o -path '/tmp/.cache/*' \) -not -path '/proc/*' 2>/dev/null || true",
    )
    assert not found
    history = docker("history", "--no-trunc", "--format={{.CreatedBy}}", image)
    assert "airflow-deepseek-ocr" in history or "uv pip install" in history
    assert not any(word in history.upper() for word in ("PASSWORD=", "TOKEN=", "SECRET="))


@pytest.mark.parametrize("target", TARGETS)
def test_what_an_image_says_of_itself(docker: Docker, images: Images, target: str) -> None:
    config: dict[str, Any] = docker.inspect(getattr(images, target))["Config"]
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in config["Labels"].items()
    }
    assert labels["title"].startswith("airflow-deepseek-ocr")
    assert labels["version"] == __version__
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == "0123abc"
    # Those of Airflow's image would be wrong.
    assert not any(labels[name] for name in ("authors", "vendor", "documentation", "ref.name"))
    assert config["User"] == "50000:0"


def test_the_images_programs(docker: Docker, images: Images) -> None:
    base, airflow, worker, server = (
        docker.inspect(image)["Config"]
        for image in (BASE, images.airflow, images.worker, images.server)
    )
    assert airflow["Entrypoint"] == worker["Entrypoint"] == base["Entrypoint"]
    assert "Healthcheck" not in airflow
    assert "Healthcheck" not in worker
    assert server["Entrypoint"] == ["/usr/bin/dumb-init", "--", "airflow-deepseek-ocr", "serve"]
    assert "/run/deepseek-ocr/server.sock" in server["Cmd"]
    assert "/run/deepseek-ocr/server.sock" in server["Healthcheck"]["Test"]
    assert set(worker["Volumes"]) == {"/models"}
    assert set(server["Volumes"]) == {"/models", "/run/deepseek-ocr"}


def test_sizes(docker: Docker, images: Images, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {
        name: docker.inspect(image)["Size"]
        for name, image in {"base": BASE, **{t: getattr(images, t) for t in TARGETS}}.items()
    }
    with capsys.disabled():
        print("", *(f"{name}: {size / 1e6:.0f} MB" for name, size in sizes.items()), sep="\n")
    assert sizes["airflow"] - sizes["base"] < MOST_ADDED
    # The server adds settings to the worker's image, and no files.
    assert sizes["server"] == sizes["worker"]


def _versions(docker: Docker, image: str) -> dict[str, str]:
    lines = docker.shell(image, "uv pip freeze --cache-dir /tmp/uv").splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line)
