i=0; { while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; } > big; sh -c "cat <<END
$(cat big)
END" | tail -n 1
