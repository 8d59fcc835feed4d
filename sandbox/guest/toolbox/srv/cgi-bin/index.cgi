#!/bin/sh
# Says who answers and whom it sees as the caller.
caller=${REMOTE_ADDR#[}
caller=${caller%]}
printf 'Content-Type: text/plain\r\n\r\n'
printf 'hello from %s, you are %s\n' "$(hostname)" "${caller#::ffff:}"
