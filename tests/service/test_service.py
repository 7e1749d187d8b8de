"""The service: what it answers is what the model predicts, and what it refuses it refuses as the command line does."""

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2
import numpy as np
import pandas as pd
import pytest
import uvicorn
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import perceptory as pt
from perceptory.errors import InputError
from perceptory.models.weighted import WeightedModel
from perceptory.service.application import Limits, application
from perceptory.service.server import bound, check_address
from perceptory.service.shelf import Shelf
from perceptory.service.tensors import asked_by, tensor_of

JSON = {"Content-Type": "application/json"}
GOOD = {"size": 1.0, "color": "red", "old": True}


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    color = rng.choice(["red", "green", "süß <b>"], n)
    frame = pd.DataFrame({"size": rng.normal(size=n), "color": color, "old": rng.random(n) < 0.5})
    frame.loc[::7, "size"] = np.nan
    return frame


def trained(path, target, seed=0):
    frame = table(seed=seed)
    frame["y"] = target(frame)
    study = pt.Study(pt.MLP((4,)), epochs=2, validation=pt.KFold(2), seed=seed)
    study.run(pt.read_table(frame, target="y"), folder=path, overwrite=True)
    return path


def answered(function, *arguments):
    """What it gives, or the sentence that it refuses with."""
    try:
        return function(*arguments)
    except InputError as error:
        return str(error)


def number(frame):
    return frame["size"].fillna(0) + (frame["color"] == "red")


def kind(frame):
    return np.where(frame["old"], "ja", "nein & so")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return trained(folder / "number-run", number), trained(folder / "kind-run", kind)


@pytest.fixture(scope="module")
def client(runs):
    with TestClient(application(Shelf([str(run) for run in runs]), Limits(body=1 << 20))) as client:
        yield client


def records(frame):
    return [{k: None if pd.isna(v) else v for k, v in row.items()} for row in frame.astype(object).to_dict("records")]


def tensors(frame):
    types = {"size": "FP64", "color": "BYTES", "old": "BOOL"}
    return [
        {"name": n, "shape": [len(frame)], "datatype": t, "data": [r[n] for r in records(frame)]}
        for n, t in types.items()
    ]


# --- the same as the model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 33])
def test_every_door_gives_the_model_s_predictions(client, runs, rows):
    frame = table(rows, seed=5)
    model = pt.Model.load(runs[0])
    expected = model.predict(frame)
    split = {"columns": list(frame), "data": [list(row.values()) for row in records(frame)]}
    bodies = [{"dataframe_records": records(frame)}, {"dataframe_split": split}]
    bodies.append({"inputs": {name: [row[name] for row in records(frame)] for name in frame}})
    for body in bodies:
        answer = client.post("/models/number/invocations", json=body)
        assert answer.status_code == 200
        np.testing.assert_allclose(answer.json()["predictions"], expected, rtol=1e-6, atol=1e-6)
    answer = client.post("/v2/models/number/infer", json={"inputs": tensors(frame), "id": "x"}).json()
    assert (answer["model_name"], answer["id"]) == ("number", "x")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("y", "FP64", [rows])
    np.testing.assert_allclose(output["data"], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "sizes",
    [[1, 2.5, None], [1, 2, 3], [None, None, 1.5], ["1.5", "2", None], [True, 2.5, 1], [2**60, 1.5, 0], [1, "2", None]],
)
def test_values_of_json_mean_what_they_mean_to_the_model(client, runs, sizes):
    rows = [GOOD | {"size": value} for value in sizes]
    columns = {name: [row[name] for row in rows] for name in GOOD}
    answer = client.post("/models/number/invocations", json={"inputs": columns})
    expected = answered(pt.Model.load(runs[0]).predict, columns)
    if isinstance(expected, str):
        assert answer.json() == {"error": expected}
    else:
        np.testing.assert_allclose(answer.json()["predictions"], expected, rtol=1e-6, atol=1e-6)


def test_classes_come_with_probabilities(client, runs):
    frame = table(5, seed=6)
    model = pt.Model.load(runs[1])
    answer = client.post("/models/kind/invocations", json={"dataframe_records": records(frame)}).json()
    assert answer["predictions"] == model.predict(frame).tolist()
    assert answer["classes"] == ["ja", "nein & so"]
    np.testing.assert_allclose(answer["probability"], model.predict_proba(frame), rtol=1e-5)
    body = {"inputs": tensors(frame), "outputs": [{"name": "probability"}]}
    (output,) = client.post("/v2/models/kind/infer", json=body).json()["outputs"]
    assert output["shape"] == [5, 2]


def test_intervals_are_the_model_s(client, runs):
    frame = table(4, seed=7)
    expected = pt.Model.load(runs[0]).predict_interval(frame, 0.8)
    body = {"dataframe_records": records(frame), "params": {"interval": 0.8}}
    rows = client.post("/models/number/invocations", json=body).json()["predictions"]
    ends = [[row["lower end of y"], row["upper end of y"]] for row in rows]
    np.testing.assert_allclose(ends, expected, rtol=1e-5)


def test_the_protocol_s_binary_data(client, runs):
    frame = table(3, seed=8).fillna(1.0)
    texts = b"".join(len(t).to_bytes(4, "little") + t for t in (c.encode() for c in frame["color"]))
    parts = [("size", "FP64", frame["size"].to_numpy("<f8").tobytes()), ("color", "BYTES", texts)]
    parts.append(("old", "BOOL", frame["old"].to_numpy(np.bool_).tobytes()))
    inputs = [
        {"name": n, "shape": [3, 1], "datatype": t, "parameters": {"binary_data_size": len(b)}} for n, t, b in parts
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    body = head + b"".join(b for _, _, b in parts)
    answer = client.post(
        "/v2/models/number/infer", content=body, headers={"Inference-Header-Content-Length": str(len(head))}
    )
    size = int(answer.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(answer.content[:size])["outputs"]
    values = np.frombuffer(answer.content[size:], "<f8")
    assert output["parameters"] == {"binary_data_size": 24}
    np.testing.assert_allclose(values, pt.Model.load(runs[0]).predict(frame), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "values", [[1.5, -2.0], [True, False], ["süß", ""], [1, 2**40]], ids=["numbers", "truth", "texts", "whole"]
)
def test_tensors_go_to_and_fro(values):
    array = np.array(values, object if isinstance(values[0], str) else None)
    tensor, binary = tensor_of("a", array, True)
    again = asked_by({"inputs": [tensor, {**tensor, "name": "b"}]}, binary * 2)
    assert list(again.rows["a"]) == values
    plain, _ = tensor_of("a", array, False)
    assert list(asked_by({"inputs": [plain, {**plain, "name": "b"}]}).rows["a"]) == values


def test_no_number_stands_as_null():
    assert tensor_of("a", np.array([1.0, np.nan, np.inf]), False)[0]["data"] == [1.0, None, None]


# --- what is refused -------------------------------------------------------------------------------------------------

REFUSED = [
    ("/models/number/invocations", {"dataframe_records": [{"size": 1.0}]}, 422, "lacks the columns 'color', 'old'"),
    ("/models/number/invocations", {"dataframe_records": [GOOD | {"size": "abc"}]}, 422, "'abc'"),
    ("/models/number/invocations", {"dataframe_records": []}, 422, "needs a list of rows"),
    ("/models/number/invocations", {}, 422, "a request needs one of"),
    ("/models/number/invocations", [], 422, "a request needs"),
    ("/models/number/invocations", {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, 422, "row 0 of the data"),
    ("/models/number/invocations", {"dataframe_records": [GOOD], "params": {"interval": 2}}, 422, "between 0 and 1"),
    ("/models/kind/invocations", {"dataframe_records": [GOOD], "params": {"interval": 0.9}}, 422, "predicts numbers"),
    ("/models/nobody/invocations", {"dataframe_records": [GOOD]}, 404, "There are: number, kind"),
    ("/invocations", {"dataframe_records": [GOOD]}, 404, "there are several models"),
    ("/v2/models/number/infer", {"inputs": []}, 422, "a list of tensors"),
    ("/v2/models/number/infer", {"inputs": [{"name": "size"}]}, 422, "needs a datatype"),
    (
        "/v2/models/number/infer",
        {"inputs": [{"name": "size", "datatype": "FP64", "shape": [2], "data": [1]}]}, 422, "has 1 values",
    ),
    ("/v2/models/number/versions/9/infer", {"inputs": []}, 404, "is version"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "sentence"), REFUSED)
def test_what_is_refused_is_said(client, path, body, status, sentence):
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert answer.json()["error"].endswith(".")


def test_a_bad_row_is_refused_in_the_command_line_s_words(client, runs, tmp_path):
    rows = [GOOD, GOOD | {"size": "12 kg"}, GOOD]
    pd.DataFrame(rows).to_csv(tmp_path / "new.csv", index=False)
    said = client.post("/models/number/invocations", json={"dataframe_records": rows}).json()["error"]
    with pytest.raises(InputError) as refused:
        pt.Model.load(runs[0]).predict(pd.DataFrame(rows))
    assert said == str(refused.value)


def test_bodies_that_are_none(client):
    assert client.post("/models/number/invocations", content=b"{", headers=JSON).status_code == 400
    assert (
        client.post("/models/number/invocations", content=b"a,b\n1,2", headers={"Content-Type": "text/csv"}).status_code
        == 415
    )
    assert client.post("/models/number/invocations", content=b" " * (2 << 20), headers=JSON).status_code == 413
    assert client.get("/models/number/invocations").status_code == 405
    assert client.get("/nowhere").status_code == 404


def test_a_thousand_malformed_requests_fail_as_they_should(client):
    rng = np.random.default_rng(0)
    good = json.dumps({"inputs": tensors(table(2).fillna(0.0))}).encode()
    codes = set()
    for _ in range(1000):
        body = bytearray(good)
        for place in rng.integers(0, len(body), rng.integers(1, 6)):
            body[place] = rng.integers(0, 256)
        if rng.random() < 0.3:
            del body[rng.integers(0, len(body)) :]
        codes.add(client.post("/v2/models/number/infer", content=bytes(body), headers=JSON).status_code)
    assert codes <= {200, 400, 404, 422}
    assert len(codes) >= 3


# --- who may ask, how much, how long ---------------------------------------------------------------------------------


def test_a_token_is_asked_for_everywhere_but_of_health(runs):
    with TestClient(application(Shelf([str(runs[0])]), Limits(token="geheim ü"))) as client:
        assert client.get("/v2/health/ready").json() == {"ready": True}
        for path in ("/", "/v2/models/number", "/metrics", "/openapi.json", "/models/number/report"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer falsch"}).status_code == 401
        good = {"Authorization": "Bearer geheim ü".encode()}
        assert client.get("/v2/models/number", headers=good).status_code == 200
        assert client.get("/", auth=("anyone", "geheim ü")).status_code == 200


def test_other_names_of_this_machine_are_not_answered(runs):
    """A page of a stranger that has its name point here must not reach the service through the browser."""
    with TestClient(application(Shelf([str(runs[0])]), Limits(hosts=("localhost", "127.0.0.1")))) as client:
        assert client.get("/v2", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/v2", headers={"Host": "localhost:8080"}).status_code == 200


def test_addresses_that_others_reach_need_a_token():
    check_address("127.0.0.1", 8080, None)
    check_address("::1", 0, None)
    check_address("0.0.0.0", 8080, "token")
    for host in ("0.0.0.0", "192.168.1.1", "my.host", "::"):
        with pytest.raises(InputError, match="Give --token"):
            check_address(host, 8080, None)
    with pytest.raises(InputError, match="0 to 65535"):
        check_address("localhost", 99999, None)


def test_too_many_rows_and_too_long_a_wait(runs, monkeypatch):
    shelf = Shelf([str(runs[0])])
    served = shelf.get("number")
    slow = threading.Event()
    answers = type(served).answers
    monkeypatch.setattr(type(served), "answers", lambda self, x: (slow.wait(5), answers(self, x))[1])
    with TestClient(application(shelf, Limits(rows=2, seconds=0.3))) as client:
        codes = []

        def ask():
            codes.append(client.post("/invocations", json={"dataframe_records": [GOOD] * 2}).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        slow.set()
        assert sorted(codes) == [503, 503, 504, 504]
        assert client.post("/invocations", json={"dataframe_records": [GOOD]}).status_code == 200


# --- the models ------------------------------------------------------------------------------------------------------


def test_names_of_models(runs, tmp_path):
    file = runs[0] / "model.safetensors"
    assert [s.name for s in Shelf([str(file), f"other={runs[0]}"])] == ["model", "other"]
    with pytest.raises(InputError, match="two models would be called 'number'"):
        Shelf([str(runs[0]), str(runs[0])])
    with pytest.raises(InputError, match="there is no model in"):
        Shelf([str(tmp_path)])
    with pytest.raises(InputError, match="does not fit there"):
        Shelf([f"a b={runs[0]}"])


def test_a_new_file_is_taken_up_and_a_damaged_one_is_not(tmp_path, caplog):
    run = trained(tmp_path / "m-run", number)
    shelf = Shelf([str(run)])
    before = shelf.get("m")
    assert (shelf.refresh(), shelf.get("m")) == (None, before)
    (run / "model.safetensors").write_bytes(b"nothing of the kind")
    shelf.refresh()
    assert shelf.get("m") is before
    assert "goes on as it was" in caplog.text
    trained(run, number, seed=3)
    shelf.refresh()
    after = shelf.get("m")
    assert after.version != before.version
    assert shelf.swapped == 1


def test_a_weighted_mean_of_candidates_is_served(runs, tmp_path):
    """Which is what fit gives by default."""
    part = pt.Model.load(runs[1])
    model = WeightedModel((part, part), (0.7, 0.3))
    model.save(tmp_path / "mixed.safetensors")
    with TestClient(application(Shelf([str(tmp_path / "mixed.safetensors")]), Limits())) as client:
        answer = client.post("/models/mixed/invocations", json={"dataframe_records": [GOOD]})
        np.testing.assert_allclose(answer.json()["probability"], model.predict_proba(GOOD), rtol=1e-5)
        assert client.get("/").status_code == client.get("/openapi.json").status_code == 200


def test_metadata_schema_page_and_metrics(client):
    data = client.get("/v2/models/number").json()
    assert [(i["name"], i["datatype"]) for i in data["inputs"]] == [
        ("size", "FP64"),
        ("color", "BYTES"),
        ("old", "BOOL"),
    ]
    assert data["inputs"][1]["parameters"]["categories"] == ["green", "red", "süß <b>"]
    document = client.get("/openapi.json").json()
    example = document["paths"]["/models/number/invocations"]["post"]["requestBody"]["content"]["application/json"]
    body = example["schema"]["examples"][0]
    assert client.post("/models/number/invocations", json=body).status_code == 200
    page = client.get("/")
    assert "süß &lt;b&gt;" in page.text
    assert "süß <b>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert client.get("/models/number/report").status_code == 200
    text = client.get("/metrics").text
    assert 'perceptory_requests_total{route="/models/{model}/invocations",status="200"}' in text
    assert re.search(r'perceptory_rows_total{model="number"} \d', text)


def test_arrays_and_autoencoders_are_served_too(tmp_path):
    rng = np.random.default_rng(0)
    series = pt.read_arrays(rng.normal(size=(40, 6, 2)), rng.normal(size=40))
    pt.Study(pt.RNN((3,)), epochs=1, validation=pt.KFold(2)).run(series, folder=tmp_path / "series-run")
    frame = table(60)
    unlabeled = pt.read_table(frame, task="autoencode")
    pt.Study(pt.Autoencoder(code=2, encoder=pt.MLP((4,))), epochs=1, validation=pt.KFold(2)).run(
        unlabeled, folder=tmp_path / "odd-run"
    )
    with TestClient(application(Shelf([str(tmp_path / "series-run"), str(tmp_path / "odd-run")]))) as client:
        x = rng.normal(size=(3, 6, 2))
        body = {"inputs": [{"name": "inputs", "shape": [3, 6, 2], "datatype": "FP64", "data": x.ravel().tolist()}]}
        (output,) = client.post("/v2/models/series/infer", json=body).json()["outputs"]
        np.testing.assert_allclose(output["data"], pt.Model.load(tmp_path / "series-run").predict(x), rtol=1e-5)
        answer = client.post("/models/odd/invocations", json={"dataframe_records": records(frame.head(3))}).json()
        expected = pt.Model.load(tmp_path / "odd-run").anomaly_score(frame.head(3)).score
        np.testing.assert_allclose([r["anomaly_score"] for r in answer["predictions"]], expected, rtol=1e-5)
        assert client.get("/").status_code == 200
        assert client.get("/openapi.json").status_code == 200


# --- the real thing --------------------------------------------------------------------------------------------------


class Running:
    """`perceptory serve` as a process."""

    def __init__(self, *runs):
        command = [sys.executable, "-m", "perceptory", "serve", *map(str, runs), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("Ctrl-C"):
                break
        self.address = re.search(r"http://127\.0\.0\.1:\d+", "".join(self.said)).group()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, self.complaints = self.process.communicate(timeout=30)
        return self.process.returncode


def test_a_process_that_is_asked_by_many_while_its_model_changes(tmp_path):
    run = trained(tmp_path / "m-run", number)
    server = Running(run)
    codes, versions, stop = [], set(), threading.Event()

    def ask():
        with httpx2.Client(base_url=server.address) as client:
            while not stop.is_set():
                answer = client.post("/v2/models/m/infer", json={"inputs": tensors(table(2))})
                codes.append(answer.status_code)
                versions.add(answer.json()["model_version"])
                time.sleep(0.005)  # leave the server the processor

    def hang_up():
        """Asks and is gone before the answer: a whole request on a bare socket, so that no clock decides."""
        host, port = server.address.removeprefix("http://").split(":")
        body = json.dumps({"inputs": tensors(table(50))}).encode()
        head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        while not stop.is_set():
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(head + body)
            time.sleep(0.02)

    threads = [threading.Thread(target=ask) for _ in range(3)] + [threading.Thread(target=hang_up)]
    for thread in threads:
        thread.start()
    trained(run, number, seed=4)
    until = time.monotonic() + 30
    while len(versions) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(versions) == 2
    assert set(codes) == {200}
    assert server.stop() == 0
    assert server.complaints.count("\n") == 1  # the new version


def test_a_port_that_is_taken_and_a_process_that_is_killed(runs, capfd):
    from perceptory.app.cli import main

    server = Running(runs[0])
    assert main(["serve", str(runs[0]), "--port", server.address.rpartition(":")[2]]) == 2
    assert "Choose another --port" in capfd.readouterr().err
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    again = Running(runs[0])
    assert httpx2.get(f"{again.address}/v2/health/ready").json() == {"ready": True}
    assert again.stop(signal.SIGINT) == 0


TRITON = """
import sys
import numpy as np
import tritonclient.http as triton
client = triton.InferenceServerClient(sys.argv[1])
columns = {"size": np.array([1.0, np.nan]), "color": np.array(["red", "other"], object), "old": np.array([True, False])}
inputs = []
for description in client.get_model_metadata("number")["inputs"]:
    name = description["name"]
    inputs.append(triton.InferInput(name, [2], description["datatype"]))
    inputs[-1].set_data_from_numpy(columns[name])
print(client.is_server_ready(), *client.infer("number", inputs, request_id="7").as_numpy("y").tolist())
"""


def test_a_client_of_the_protocol(runs):
    pytest.importorskip("tritonclient", reason="a client of others, for those who have it")
    server = Running(runs[0])
    done = subprocess.run(
        [sys.executable, "-c", TRITON, server.address[7:]], capture_output=True, text=True, check=True
    )
    server.stop()
    ready, *values = done.stdout.split()
    frame = pd.DataFrame({"size": [1.0, np.nan], "color": ["red", "other"], "old": [True, False]})
    assert ready == "True"
    np.testing.assert_allclose([float(v) for v in values], pt.Model.load(runs[0]).predict(frame), rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="a browser, for those who have it")
def test_the_page_predicts_in_a_browser(runs):
    """The form is sent as it stands, by a page that does it by itself."""
    app = application(Shelf([str(run) for run in runs]))
    shown = next(route for route in app.routes if route.path == "/").endpoint

    async def by_itself(request):
        page = (await shown(request)).body.decode()
        send = "<script>document.querySelectorAll('form').forEach(f => f.requestSubmit())</script></body>"
        return HTMLResponse(page.replace("</body>", send))

    app.routes.append(Route("/by-itself", by_itself))
    listening = bound("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/by-itself"
    document = subprocess.run([*command, address], capture_output=True, text=True, timeout=60).stdout
    server.should_exit = True
    thread.join()
    found = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", document)
    names = [name for name, _ in found]
    assert names[:3] == ["y", "90 % interval, lower end of y", "90 % interval, upper end of y"]
    assert "probability of ja" in names
    assert float(found[1][1]) <= float(found[0][1]) <= float(found[2][1])
