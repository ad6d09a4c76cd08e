set -o pipefail
false | true
echo $? ${PIPESTATUS[*]}
yes | head -n 1
echo ${PIPESTATUS[*]}
