coproc tr a-z A-Z
echo hello >&${COPROC[1]}
exec {COPROC[1]}>&-
cat <&${COPROC[0]}
