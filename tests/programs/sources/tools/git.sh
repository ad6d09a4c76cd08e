# needs: git
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git config --global init.defaultBranch main
git config --global gc.auto 0
. "$SOURCES/make-tree.sh"
mkdir r
mv tree r/
cd r
git init -q
git add .
git commit -qm first
echo more >> tree/d1/e1/f1
git commit -qam second
git log --stat --format='%H %s' | cat
git status --short
git checkout -q -b side HEAD~1
git mv tree/link tree/renamed
git commit -qm third
git merge -q -m merged main
git log --graph --oneline | cat
git diff --stat main | cat
cd ..
git clone -q r c
cd c
git fsck --full
git rev-parse HEAD
git branch -a
git grep -c 'file 7$' | head -n 3
git gc -q
git count-objects -v | head -n 1
git stash list
git archive HEAD | tar t | wc -l
