read -r a b <<< 'x y'
echo $b
mapfile -t l < <(seq 3)
echo ${l[2]}
