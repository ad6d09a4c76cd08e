trap 'echo got TERM' TERM
kill -TERM $$
echo after
trap 'echo bye' EXIT
exit 3
