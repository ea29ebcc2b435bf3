"""Usage as a provider reports it: CloudEvents.

    event = usage_event("job-1", "acme/shop", "echo", jobs=3)
    report(cloud, [event])["results"]
"""

import json

import answers
import httpx

SOURCE = "/globex/echo"
SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def usage_event(number, app, service, source=SOURCE, time=None, **units):
    event = {"specversion": "1.0", "type": "stoa.usage.v1", "source": source, "id": number,
             "subject": app, "data": {"service": service, "units": units}}
    return {**event, "time": time} if time else event


def send(cloud, body, media_type=BATCH, token=None, fields=None):
    """The HTTP answer, checked against the API's document."""
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    headers = {"Authorization": f"Bearer {token or cloud.token}", "Content-Type": media_type,
               **(fields or {})}
    with httpx.Client(timeout=60, trust_env=False,
                      event_hooks={"response": [answers.check]}) as client:
        return client.post(f"http://{cloud.api}/v1/usage", content=content, headers=headers)


def report(cloud, events, token=None):
    """A batch's answer."""
    answer = send(cloud, events, token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()
