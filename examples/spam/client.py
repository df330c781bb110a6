"""Asks for predictions over HTTP, as a client in any language would: posts, gets an id, and asks for the result by it.

Run it with `python client.py [HOST:PORT]`.
"""

import http.client
import json
import sys
import time
from typing import Any

service = http.client.HTTPConnection(sys.argv[1] if len(sys.argv) > 1 else "localhost:5001", timeout=30)


def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    headers = {"Content-Type": "application/json"}
    service.request(method, path, None if body is None else json.dumps(body), headers)
    answer = service.getresponse()
    return answer.status, json.load(answer)


def classify(text: str) -> None:
    """One message, from the post to the prediction."""
    status, posted = ask("POST", "/models/spam/predict", {"text": text})
    print(f"{text}\n  {status}: id {posted['id']}, {posted['state']}")
    while (answer := ask("GET", posted["links"]["result"]))[0] in (202, 503):  # not yet, or: try again
        time.sleep(0.1)
    status, output = answer
    print(f"  {status}: {output['label']}, spam with probability {output['probability']:.2f}")


classify("You have won a prize! Click here to claim your free gift card")
classify("Shall we have lunch on Thursday, after the meeting?")

status, problem = ask("POST", "/models/spam/predict", {"txt": "I misspelt a field"})
print(f"A wrong input\n  {status}: {json.dumps(problem, indent=2)}")
