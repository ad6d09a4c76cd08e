(cd /; pwd)
pwd | sed 's,.*/,,'
exec 5>out
echo five >&5
exec 5>&-
cat out
exec -a renamed bash -c 'echo $0'
