# A repository with a history, cloned by hard links and by a pack over a pipe; fetch, merge, gc, fsck.
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
git init -q -b main origin
cd origin
for i in $(seq 40); do
    mkdir -p d$((i % 7))
    seq $i $((i * 60)) > d$((i % 7))/f$i
    git add -A
    git commit -q -m "commit $i"
done
cd ..
git clone -q origin linked
git clone -q "file://$PWD/origin" packed
git -C packed log --format='%h %s' --stat | sha256sum
git -C packed rev-parse HEAD
(cd origin && echo more >> d1/f1 && git commit -qam more)
git -C linked pull -q --no-edit
git -C linked checkout -q -b topic HEAD~5
git -C linked merge -q --no-edit main
git -C linked gc -q
git -C linked fsck --full 2>&1
git -C linked status --short
git -C linked diff --stat HEAD~10 | tail -n 1
for clone in linked packed; do (cd $clone && find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); done
rm -rf origin linked packed
