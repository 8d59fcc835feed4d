#!/bin/sh
# Says who answers and whom it sees as the caller.
printf 'Content-Type: text/plain\r\n\r\n'
printf 'hello from %s, you are %s\n' "$(hostname)" "${REMOTE_ADDR#::ffff:}"
