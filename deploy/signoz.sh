#!/bin/sh
# Starts SigNoz with secrets that nobody knows: made anew at each start, kept nowhere.
# SigNoz insists on a password of its root user, with which nobody can sign in while sign-in is off.
set -eu

random() {
    head -c 32 /dev/urandom | base64 | tr -d '\n'
}

export SIGNOZ_TOKENIZER_JWT_SECRET="$(random)"
if [ "${SIGNOZ_IDENTN_IMPERSONATION_ENABLED:-}" = true ]; then
    export SIGNOZ_USER_ROOT_PASSWORD="Aa1!$(random)"
fi
exec ./signoz server
