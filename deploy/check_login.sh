#!/bin/sh
# Refuses a sign-in that anyone could guess. Says what is missing, never the password.
set -eu

email="${SIGNOZ_USER_ROOT_EMAIL:-}"
password="${SIGNOZ_USER_ROOT_PASSWORD:-}"

refuse() {
    echo "SIGNOZ_ADMIN_$1 in .env: $2" >&2
    exit 1
}

case "$email" in
    *[[:space:]]* | *@*@*) refuse EMAIL "not an address" ;;
    ?*@?*.?*) ;;
    *) refuse EMAIL "not an address" ;;
esac

[ "${#password}" -ge 12 ] || refuse PASSWORD "12 characters or more are needed"
case "$password" in *[[:upper:]]*) ;; *) refuse PASSWORD "an upper case letter is needed" ;; esac
case "$password" in *[[:lower:]]*) ;; *) refuse PASSWORD "a lower case letter is needed" ;; esac
case "$password" in *[[:digit:]]*) ;; *) refuse PASSWORD "a digit is needed" ;; esac
case "$password" in *[![:alnum:]]*) ;; *) refuse PASSWORD "something beside letters and digits is needed" ;; esac

plain="$(printf %s "$password" | tr '[:upper:]' '[:lower:]')"
name="$(printf %s "${email%@*}" | tr '[:upper:]' '[:lower:]')"
case "$plain" in
    *password* | *passwort* | *signoz* | *changeme* | *change-me* | *example* | *admin* | *qwerty* | *123456*)
        refuse PASSWORD "it holds a word that is tried first" ;;
esac
if [ "${#name}" -ge 3 ]; then
    case "$plain" in *"$name"*) refuse PASSWORD "it holds the name of the address" ;; esac
fi
