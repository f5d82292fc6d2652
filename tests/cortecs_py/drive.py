"""Drives a simulated Cortecs API through the published client.

Takes CORTECS_API_BASE_URL, CORTECS_CLIENT_ID and CORTECS_CLIENT_SECRET from the environment, as the client does.
The account must be empty at first and is left empty. Ends with status 0 and "all good" when everything agreed.
"""

import sys
import time

import requests
from cortecs_py import Cortecs
from cortecs_py.schemas import HardwareType, Instance, InstanceArgs, ModelPreview, WorkerStatus

MODEL = "mistralai/Mistral-7B-Instruct-v0.3"
OTHER = "microsoft/phi-4"
# The catalog has its own id for it, besides the id that a start takes.
RENAMED = "meta-llama/Llama-3.1-8B-Instruct"
SOON = 0.02


def expect_refusal(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except requests.exceptions.HTTPError as error:
        text = str(error)
        assert text.startswith(f"HTTP error occurred: {status} "), text
        assert '"message"' in text, text
        return
    raise AssertionError(f"{call.__name__}{args} was not refused")


def wait_until_running(client, instance_id):
    instance = client.poll_instance(instance_id, poll_interval=SOON)
    deadline = time.monotonic() + 30
    while instance.instance_status.status != "running":
        assert time.monotonic() < deadline, instance
        time.sleep(SOON)
        instance = client.get_instance(instance_id)
    return instance


def check_running(instance):
    assert isinstance(instance, Instance)
    assert instance.instance_status.status == "running", instance
    assert instance.instance_status.started_at is not None
    assert instance.instance_status.started_at.tzinfo is not None
    assert instance.instance_status.stopped_at is None
    assert instance.base_url.startswith("https://") and instance.base_url.endswith("/v1"), instance.base_url
    first = instance.worker_statuses[0].init_progress
    assert first["current_step"] == first["num_steps"] == 5, first


def check_stopped(instance):
    assert instance.instance_status.status == "stopped", instance
    assert instance.instance_status.stopped_at is not None
    assert instance.base_url is None
    assert all(worker.init_progress is None for worker in instance.worker_statuses)


def catalog(client):
    models = client.get_all_models()
    assert len(models) >= 6 and all(isinstance(model, ModelPreview) for model in models)
    hardware = client.get_all_hardware_types()
    assert len(hardware) >= 6 and all(isinstance(entry, HardwareType) for entry in hardware)
    known = {entry.hardware_type_id for entry in hardware}
    for entry in hardware:
        assert entry.price_info["price_per_hour"] > 0 and entry.price_info["currency"] == "EUR"
        assert entry.hardware_info["num_gpus"] >= 1
    for model in models:
        assert model.hf_name.replace("/", "--") == model.model_id, model
        assert set(model.hardware_configs) <= known
    available = client.get_available_hardware_types()
    assert {entry.hardware_type_id for entry in available} == known


def start_and_look(client):
    assert client.get_all_instances() == []
    instance = client.start(MODEL, num_workers=2, poll=False)
    assert instance.instance_status.status == "pending"
    assert instance.instance_status.started_at is None and instance.base_url is None
    assert instance.instance_args == InstanceArgs.from_hf_name(
        MODEL,
        hardware_type_id="NVIDIA_L4_1",
        context_length=16000,
        billing_interval="per_minute",
        num_workers=2,
    )
    assert instance.instance_args.hf_name == MODEL
    running = wait_until_running(client, instance.instance_id)
    check_running(running)
    assert running.instance_id == instance.instance_id
    assert client.get_instance_status(instance.instance_id).status == "running"
    workers = client.get_worker_statuses(instance.instance_id)
    assert len(workers) == 2 and all(isinstance(worker, WorkerStatus) for worker in workers)
    assert [found.instance_id for found in client.get_all_instances()] == [instance.instance_id]
    assert [found.instance_id for found in client.get_running_instances()] == [instance.instance_id]
    return instance.instance_id


def start_with_polling(client):
    instance = client.start(
        OTHER, "NVIDIA_A100_1", 4096, "per_hour", 1, poll=True, poll_interval=SOON, max_retries=1000
    )
    args = instance.instance_args
    assert (args.hardware_type_id, args.context_length, args.billing_interval) == ("NVIDIA_A100_1", 4096, "per_hour")
    check_running(client.get_instance(instance.instance_id))
    return instance.instance_id


def stop_restart_delete(client, instance_id):
    expect_refusal(400, client.restart, instance_id)
    expect_refusal(400, client.delete, instance_id)
    check_stopped(client.stop(instance_id))
    check_stopped(client.get_instance(instance_id))
    expect_refusal(400, client.stop, instance_id)
    assert client.restart(instance_id, poll=True, poll_interval=SOON).instance_id == instance_id
    check_running(wait_until_running(client, instance_id))
    client.stop(instance_id)
    assert client.delete(instance_id) == instance_id
    expect_refusal(400, client.get_instance, instance_id)
    expect_refusal(400, client.delete, instance_id)


def ensure_in_all_four_cases(client):
    def ensure(**kwargs):
        return client.ensure_instance(RENAMED, poll_interval=SOON, **kwargs)

    none = ensure(poll=False)
    assert none.instance_status.status == "pending"
    pending = ensure()
    assert pending.instance_id == none.instance_id
    check_running(wait_until_running(client, none.instance_id))
    running = ensure()
    assert running.instance_id == none.instance_id
    check_running(running)
    client.stop(none.instance_id)
    stopped = ensure(poll=False)
    assert stopped.instance_id == none.instance_id
    check_running(wait_until_running(client, none.instance_id))
    other = ensure(context_length=8000, poll=False)
    assert other.instance_id != none.instance_id
    assert len(client.get_all_instances()) == 3


def all_at_once(client):
    everything = {instance.instance_id for instance in client.get_all_instances()}
    assert len(everything) == 3, everything
    assert set(client.stop_all()) == everything
    assert client.stop_all() == []
    assert client.get_running_instances() == []
    kept = client.restart(everything.pop(), poll=False).instance_id
    assert set(client.delete_all()) == everything
    assert [instance.instance_id for instance in client.get_all_instances()] == [kept]
    assert client.delete_all() == []
    assert client.delete_all(force=True) == [kept]
    assert client.get_all_instances() == []


def refusals(client):
    expect_refusal(400, client.start, "nobody/nothing", poll=False)
    expect_refusal(400, client.start, MODEL, hardware_type_id="ABACUS", poll=False)
    expect_refusal(400, client.start, MODEL, context_length=1_000_000, poll=False)
    expect_refusal(400, client.start, MODEL, num_workers=9, poll=False)
    expect_refusal(400, client.start, MODEL, billing_interval="per_day", poll=False)
    expect_refusal(400, client.get_instance, "no-such-instance")
    expect_refusal(401, Cortecs(client_id="demo", client_secret="wrong").get_all_instances)
    assert client.get_all_instances() == []


def balance(client):
    # The client has no method for this call.
    answer = client._get("/user/balance")
    assert answer["currency"] == "EUR" and 0 < answer["current_balance"] < 1000, answer


def main():
    client = Cortecs()
    assert client.api_base_url.startswith("http://127.0.0.1:"), "only for a simulator"
    catalog(client)
    refusals(client)
    first = start_and_look(client)
    start_with_polling(client)
    stop_restart_delete(client, first)
    ensure_in_all_four_cases(client)
    balance(client)
    all_at_once(client)
    print("all good")


if __name__ == "__main__":
    sys.exit(main())
