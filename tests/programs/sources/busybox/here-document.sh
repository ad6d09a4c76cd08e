cat <<END
home is ${HOME:+set}
$((6 * 7))
END
cat <<'END'
$HOME
END
