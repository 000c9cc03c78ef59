"""A read view of Doorstep's log: how many requests each member opened. https://pypi.org/project/kurrentdbclient/

requests_opened.py 'esdb://any:TOKEN@127.0.0.1:2113?tlsCaFile=ca.pem'   prints it once it has caught up, and ends.
A view that is kept stores its rows and the commit position together, and goes on with commit_position=.
"""

import collections
import json
import sys

from kurrentdbclient import CaughtUp, KurrentDBClient

opened: collections.Counter[str] = collections.Counter()
client = KurrentDBClient(uri=sys.argv[1])
wanted = ["request-opened"]
with client.subscribe_to_all(filter_include=wanted, filter_by_prefix=True, include_caught_up=True) as events:
    for event in events:
        if isinstance(event, CaughtUp):
            break
        opened[json.loads(event.data)["from"]] += 1
print(json.dumps(opened, sort_keys=True))
