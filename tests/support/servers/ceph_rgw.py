"""Ceph's S3 gateway (RGW) on a cluster of one monitor and one object store in memory."""

from __future__ import annotations

import secrets
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from .process import (
    LOOPBACK,
    START_TIMEOUT_S,
    Process,
    data_directory,
    find_program,
    free_port,
    run_tool,
    wait_until,
)
from .s3 import S3Server, http_answers

PROGRAMS = (
    "ceph",
    "ceph-authtool",
    "ceph-mon",
    "ceph-osd",
    "monmaptool",
    "radosgw",
    "radosgw-admin",
)
PACKAGES = "radosgw ceph-mon ceph-osd ceph-common"

#: The cluster has no manager daemon, which only reports, and no replicas. The monitor commits changes at once
#: instead of collecting them for a second. So the cluster starts in 3 seconds instead of 15.
CONFIG = """\
[global]
fsid = {cluster}
mon_host = {monitor}
public_addr = {loopback}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {directory}/keyring
run_dir = {directory}
admin_socket =
pid_file =
log_file =
log_to_stderr = true
mon_cluster_log_file = {directory}/cluster.log
mon_data = {directory}/mon
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
paxos_propose_interval = 0.05
osd_data = {directory}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
rgw_frontends = beast endpoint={loopback}:{port}
"""
CONFIGURED = ("-c", "ceph.conf")

#: The gateway and the tools are client.admin. Without keys (auth = none) the gateway hangs.
KEYRING = {
    "mon.": {"mon": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *"},
}


@dataclass(frozen=True)
class CephRGW(S3Server):
    """A gateway, and a second user without permissions for the buckets of the first."""

    other_access_key: str
    other_secret_key: str = field(repr=False)


@contextmanager
def ceph_rgw() -> Iterator[CephRGW]:
    """Run a Ceph cluster with its S3 gateway; its objects are in memory, up to 4 GiB.

    :raises ServerUnavailable: Ceph is not installed.
    :raises RuntimeError: a process or a tool fails.
    :raises TimeoutError: a process does not answer in time.
    :raises subprocess.TimeoutExpired: a tool does not end in time.
    """
    programs = {name: find_program(name, PACKAGES) for name in PROGRAMS}
    monitor_port, port = free_port(), free_port()
    with data_directory() as directory, ExitStack() as processes:

        def tool(name: str, *arguments: str) -> None:
            run_tool([programs[name], *arguments], directory)

        def start(name: str, *arguments: str) -> Process:
            argv = [programs[name], *CONFIGURED, "-f", *arguments]
            process = Process(argv, directory, directory / f"{name}.log")
            processes.callback(process.stop)
            process.start()
            return process

        cluster, osd = str(uuid.uuid4()), str(uuid.uuid4())
        monitor = f"[v2:{LOOPBACK}:{monitor_port}/0]"
        (directory / "ceph.conf").write_text(
            CONFIG.format(
                cluster=cluster, monitor=monitor, loopback=LOOPBACK, directory=directory, port=port
            )
        )
        (directory / "osd").mkdir()
        tool("ceph-authtool", "keyring", "--create-keyring")
        for entity, capabilities in KEYRING.items():
            pairs = [word for pair in capabilities.items() for word in ("--cap", *pair)]
            tool("ceph-authtool", "keyring", "--gen-key", "--name", entity, *pairs)

        tool("monmaptool", "monmap", "--create", "--fsid", cluster, "--addv", "a", monitor)
        create = ("--mkfs", "--monmap", "monmap", "--keyring", "keyring")
        tool("ceph-mon", *CONFIGURED, "-i", "a", *create)
        process = start("ceph-mon", "-i", "a")
        wait_until(lambda: _listens(monitor_port), START_TIMEOUT_S, "ceph-mon listens", process)

        tool("ceph", *CONFIGURED, "osd", "new", osd)
        tool("ceph-osd", *CONFIGURED, "-i", "0", "--mkfs", "--osd-uuid", osd)
        start("ceph-osd", "-i", "0")

        users = [(secrets.token_hex(10), secrets.token_hex(20)) for _ in ("first", "other")]
        for number, (access_key, secret_key) in enumerate(users):
            name = f"user{number}"
            keys = ("--access-key", access_key, "--secret-key", secret_key)
            user = ("user", "create", "--uid", name, "--display-name", name)
            tool("radosgw-admin", *CONFIGURED, *user, *keys)

        process = start("radosgw", "--name", "client.admin")
        wait_until(lambda: http_answers(port), START_TIMEOUT_S, "radosgw answers", process)
        yield CephRGW(f"http://{LOOPBACK}:{port}", *users[0], "us-east-1", *users[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
