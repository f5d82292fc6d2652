"""Prints what the published client shows of an account, as JSON.

Takes CORTECS_API_BASE_URL, CORTECS_CLIENT_ID and CORTECS_CLIENT_SECRET from the environment, as the client does.
"""

import json
import sys

from cortecs_py import Cortecs


def instance(found):
    args = found.instance_args
    return {
        "id": found.instance_id,
        "status": found.instance_status.status,
        "model": args.model_id,
        "hardware": args.hardware_type_id,
        "context_length": args.context_length,
        "billing_interval": args.billing_interval,
        "workers": args.num_workers,
        "base_url": found.base_url,
    }


def main():
    client = Cortecs()
    assert client.api_base_url.startswith("http://127.0.0.1:"), "only for a simulator"
    # The client has no method for this call.
    balance = client._get("/user/balance")
    view = {
        "instances": {found.instance_id: instance(found) for found in client.get_all_instances()},
        "running": sorted(found.instance_id for found in client.get_running_instances()),
        "balance": [balance["current_balance"], balance["currency"]],
        "models": {model.model_id: [model.hf_name, model.hardware_configs] for model in client.get_all_models()},
        "prices": {
            entry.hardware_type_id: [entry.price_info["price_per_hour"], entry.price_info["currency"]]
            for entry in client.get_all_hardware_types()
        },
        "available": sorted(entry.hardware_type_id for entry in client.get_available_hardware_types()),
    }
    print(json.dumps(view))


if __name__ == "__main__":
    sys.exit(main())
