"""A Slurm of two nodes on one host, started by hand in a folder of its own: munged, slurmctld, slurmds, no systemd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
NODES = ("one", "two")
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2
MailProg=/bin/true
ReturnToService=2
JobRequeue=1
SlurmdParameters=config_overrides
KillWait=60
MessageTimeout=60
MinJobAge=300
SlurmdTimeout=300
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={port_one} CPUs=8 RealMemory=1000 State=UNKNOWN
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={port_two} CPUs=8 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=one,two Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE
"""


def missing() -> str:
    """What this machine lacks for a Slurm of its own; empty where it has it all."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    lacking = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if lacking:
        return f"needs Slurm: {', '.join(lacking)} not found"
    return "" if os.geteuid() == 0 else "needs root to start Slurm by hand"


class Slurm:
    """A context manager; `environment` is what Slurm's commands need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self.environment["PATH"] = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Slurm:
        try:
            self._start_all()
        except BaseException:
            self._stop_all()
            raise
        return self

    def _start_all(self) -> None:
        folder = self.folder
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        ports = dict(zip(("controller_port", "port_one", "port_two"), _free_ports(3)))
        (folder / "slurm.conf").write_text(CONFIG.format(host=socket.gethostname(), folder=folder, **ports))
        files = {name: f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")}
        # --force: it need not run as the user munge for this
        self._start("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files.values())
        _wait_for((folder / "munge.socket").exists)
        self._start("slurmctld", "-D", "-c")
        for node in NODES:
            self._start("slurmd", "-D", "-N", node)
        _wait_for(lambda: self.run("sinfo", "-h", "-N", "-o", "%T", check=False).split() == ["idle"] * len(NODES))

    def __exit__(self, *exc_info: object) -> None:
        self.run("scancel", "--user=root", check=False)
        end_s = time.monotonic() + 60
        while self.run("squeue", "-h", check=False).strip() and time.monotonic() < end_s:
            time.sleep(0.5)
        self._stop_all()

    def _stop_all(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def run(self, *command: str, check: bool = True) -> str:
        """What the command prints."""
        done = subprocess.run(
            command, env=self.environment, check=check, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
        )
        return done.stdout.decode()

    def state(self, job: str) -> str:
        """RUNNING, PENDING, COMPLETED, …; empty for a job that Slurm no longer knows."""
        words = self.run("scontrol", "show", "job", "-o", job, check=False).split()
        return next((word[len("JobState=") :] for word in words if word.startswith("JobState=")), "")

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 300.0) -> None:
        """Until the condition holds; fails with what Slurm knows of its jobs and nodes."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                jobs, nodes = (self.run("scontrol", "show", kind, "-o", check=False) for kind in ("job", "node"))
                raise AssertionError(f"it did not happen in {timeout_s:g} s\n{jobs}\n{nodes}")
            time.sleep(0.3)

    def _start(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}-{len(self._daemons)}.out", "wb") as output:
            self._daemons.append(
                subprocess.Popen(command, env=self.environment, stdout=output, stderr=subprocess.STDOUT)
            )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for(condition, timeout_s: float = 60.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "Slurm did not start; see the .log and .out files in its folder"
        time.sleep(0.2)
