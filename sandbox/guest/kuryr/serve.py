"""The real kuryr-libnetwork server, asked one thing at a time.

kuryr-lib drives pyroute2 from Flask's threads without a lock: containers removed at once
leave veth pairs behind (seen with kuryr-lib 3.5.0, pyroute2 0.9.7).
"""

import functools

from kuryr_libnetwork import app, server

app.run = functools.partial(app.run, threaded=False)
server.start()
