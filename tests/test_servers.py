"""The servers that other tests start: skipped with a reason, frozen, killed, restarted, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import __main__ as local
from tests.servers.cached import ensure_folder
from tests.servers.fixtures import ExternalServer, StartServer, share_server, start_or_skip
from tests.servers.kafka_server import KafkaServer
from tests.servers.milvus_server import MilvusServer
from tests.servers.process import NotStarted, Server, free_ports, is_free
from tests.servers.prometheus_server import PrometheusServer
from tests.servers.redis_server import RedisServer

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("kind", [KafkaServer, RedisServer, MilvusServer])
def test_an_external_address_is_used(
    kind: type[Server], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv(f"COPYDETECT_TEST_{kind.name.upper()}", "there:1")
    assert list(share_server(kind, tmp_path_factory)) == [ExternalServer("there:1")]


@pytest.mark.parametrize(
    ("kind", "package"),
    [(KafkaServer, "default-jre-headless"), (RedisServer, "redis-server"), (PrometheusServer, "prometheus")],
)
def test_a_missing_package_is_named(
    kind: type[Server], package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match=f"apt-get install {package}"):
        start_or_skip(kind(tmp_path / "server"))


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "milvus", None)
    with pytest.raises(pytest.skip.Exception, match="pip install milvus"):
        start_or_skip(MilvusServer(tmp_path / "server"))


def test_ports_are_different_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_a_folder_that_could_not_be_filled_is_filled_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        ensure_folder(tmp_path / "filled", fail)
    assert list(tmp_path.iterdir()) == []
    filled = ensure_folder(tmp_path / "filled", lambda folder: (folder / "whole").touch())
    assert [file.name for file in filled.iterdir()] == ["whole"]
    assert ensure_folder(tmp_path / "filled", fail) == filled
    assert list(tmp_path.iterdir()) == [filled]


@pytest.mark.integration
def test_a_server_that_does_not_start_shows_its_log(start_server: StartServer, tmp_path: Path) -> None:
    running = start_server(RedisServer(tmp_path / "first"))
    with pytest.raises(NotStarted, match="Address already in use"):
        start_server(RedisServer(tmp_path / "second", port=running.port))


@pytest.mark.integration
def test_a_server_can_be_frozen_killed_and_started_again(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(RedisServer(tmp_path / "redis"))
    address = server.address
    server.pause()
    with pytest.raises(TimeoutError):
        server.answers()
    server.resume()
    assert server.answers()
    for end in (server.kill, server.stop):
        end()
        assert not server.is_running
        with pytest.raises(ConnectionRefusedError):
            server.answers()
        server.start()
        assert server.answers()
        assert server.address == address


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    start = (
        "import sys, time; from pathlib import Path; from tests.servers.redis_server import RedisServer;"
        "server = RedisServer(Path(sys.argv[1])); server.start();"
        "sys.stdout.write(f'{server.port}\\n'); sys.stdout.flush(); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start, str(tmp_path / "redis")],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()
        if not line:
            pytest.skip("no redis-server: apt-get install redis-server")
        assert not is_free(int(line))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 5
    while not is_free(int(line)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_free(int(line))


@pytest.mark.integration
@pytest.mark.timeout(120)
def test_kafka_and_prometheus_restart_with_their_data(start_server: StartServer, tmp_path: Path) -> None:
    kafka = start_server(KafkaServer(tmp_path / "kafka"))
    cluster = (tmp_path / "kafka" / "data" / "meta.properties").read_text()
    kafka.stop()
    kafka.start()
    assert (tmp_path / "kafka" / "data" / "meta.properties").read_text() == cluster

    prometheus = start_server(PrometheusServer(tmp_path / "prometheus", targets=["127.0.0.1:1"]))
    deadline = time.monotonic() + 20
    while not (seen := prometheus.query("up")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [(one["metric"]["instance"], one["value"][1]) for one in seen] == [("127.0.0.1:1", "0")]


@pytest.mark.integration
def test_up_finds_running_servers_and_down_stops_only_these(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], redis_server: object
) -> None:
    assert redis_server  # skips the test if there is no Redis
    monkeypatch.setattr(local, "KINDS", [kind for kind in local.KINDS if kind.server is RedisServer])
    (port,) = free_ports(1)
    folder = tmp_path / "local"
    exports = f"export COPYDETECT_REDIS_URL=redis://127.0.0.1:{port}\n"
    started = local.up(folder, {"redis": port})
    try:
        assert [server.address for server in started] == [f"redis://127.0.0.1:{port}"]
        assert local.up(folder, {"redis": None}) == []
        assert capsys.readouterr().out == 2 * exports
        # A pid that belongs to another process by now is left alone.
        other = local.Process(os.getpid(), "Thu Jan  1 00:00:00 1970", "")
        local.write_processes(folder, local.read_processes(folder) | {"other": other})
        assert local.main(["down", str(folder)]) == 0
        assert capsys.readouterr().out == "stopped redis\n"
        assert is_free(port)
    finally:
        for server in started:
            server.kill()
