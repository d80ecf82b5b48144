#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Figures in documents and cover letters are those of figures.json, and what is not
# is found.
set -u
cd "$(dirname "$0")/../.." || exit 1
. ci/tap.sh

check "each block shows what figures.json says" ci/figures check

# A copy, in which everything may be changed.
top=$T/top
mkdir -p "$top/ci" "$top/build" "$top/patches"
cp -r ci/figures ci/bases.py "$top/ci/"
cp ci/series "$top/ci/"
cp -r README.md MAINTAINERS-notes.md figures.json Documentation kernel erofs-utils "$top/"
base=$(basename "$(readlink kernel/default)" .base)
export BUILD=$top/build
figures() { "$top/ci/figures" "$@"; }
letter=$top/patches/$base/1-fixes/0000-cover-letter.txt

check "the copy is right" figures check
sed -i 's/^| this series | [0-9.]*/| this series | 1.0/' "$top/README.md"
fails "a table that was changed by hand" "README.md says '\| this series \| 1.0 .*ci/figures fill" figures check
check "it can be filled" figures fill
check "then it is what it was" cmp README.md "$top/README.md"

jq --arg b "$base" '.[$b].bench.rows."erofs-dax".stat = 12.345' "$top/figures.json" > "$T/json"
mv "$T/json" "$top/figures.json"
fails "new figures that no document shows yet" "figures.json '\| this series \| 12.3 " figures check
check "they can be filled in" figures fill
check "and are found there" figures check
check "a second fill changes nothing" sh -c "[ -z \"\$('$top/ci/figures' fill)\" ]"

mkdir -p "$(dirname "$letter")"
printf 'Subject: [PATCH 0/1] erofs: x\n\nText.\n\nMeasured by "make figures", table dax:\n\n  | 1 |\n\nMore text.\n' > "$letter"
fails "a table in a cover letter" "0000-cover-letter.txt says '  . 1 ." figures check
check "it can be filled" figures fill
check "and is right then" figures check
check "the text around it stays" sh -c "grep -q '^Text' '$letter' && tail -n 2 '$letter' | grep -q '^More text'"
check "it is indented" grep -q '^  | this series | 12.3 ' "$letter"

number=$(grep -m1 -oE '[0-9]{1,3},[0-9]{3} KiB' "$top/README.md")
cp "$top/README.md" "$T/readme"
echo "It takes $number." >> "$top/README.md"
fails "a figure that is typed a second time" "README.md: ${number% KiB} is in a block; do not type it" figures check
cp "$T/readme" "$top/README.md"
sed -i '0,/^<!-- end -->/{/^<!-- end -->/d}' "$top/README.md"
fails "a block that does not end" "README.md" figures check
cp "$T/readme" "$top/README.md"
echo '<!-- figures: none -->
<!-- end -->' >> "$top/README.md"
fails "a block that there is not" "no block 'none'; there are: demo" figures check
cp "$T/readme" "$top/README.md"
jq --arg b "$base" 'del(.[$b].bench.sharing)' "$top/figures.json" > "$T/json" && mv "$T/json" "$top/figures.json"
fails "figures that are missing" "figures.json has no 'sharing' for block 'sharing' of $base; 'make figures'" figures check

sed -i "s/^<!-- figures: sharing -->/<!-- figures: dax linux-0.1 -->/" "$top/README.md"
fails "a base that there is not" "no base 'linux-0.1'; there are: .*$base" figures check
cp "$T/readme" "$top/README.md"
cp "$top/kernel/$base.base" "$top/kernel/linux-0.1.base"
sed -i "s/^<!-- figures: sharing -->/<!-- figures: dax linux-0.1 -->/" "$top/README.md"
check "a base that was not measured yet is filled in as that" figures fill
check "... with what to do" grep -q '^Not measured yet on linux-0.1; .make figures' "$top/README.md"
rm "$top/kernel/linux-0.1.base"

# What make figures collects, from results as the benchmarks write them.
utils=$(basename "$(readlink erofs-utils/default)" .base)
mkdir -p "$BUILD/$base"/{figures,demo,bench} "$BUILD/$utils/figures"
fails "there are no results" "figures/demo: No such file.*make figures" figures collect "$base" "$utils"
printf '\nOne EROFS image\nReport: %s/build/report.json\n' "$top" > "$BUILD/$base/figures/demo"
echo '{"containers": {"saved_kib": 30, "cached_kib_private": 40}}' > "$BUILD/$base/demo/report.json"
cat > "$BUILD/$base/bench/bench.json" <<'J'
{"workload": {"files": 7, "bytes": 9000000}, "sharing": [{"what": "x", "value": 0.96543}],
 "rows": [{"id": "erofs-dax", "what": "w", "cache_and_buffers_kib": 5, "slab_kib": 6,
           "runs": [[{"pass": "start"}, {"pass": "stat", "cpu_ns": 1234567}, {"pass": "mmap", "cpu_ns": 2000000, "faults": 8}]]}]}
J
fails "an output of make bench-utils that has changed" "has no times" sh -c \
	"echo nothing > '$BUILD/$utils/figures/bench-utils'; '$top/ci/figures' collect $base $utils"
cat > "$BUILD/$utils/figures/bench-utils" <<'J'
uncompressed, no inline data       0.150   0.180  1.200     0.160   0.190    0.20  0.30  1.500
SHA-256 alone, of all files      0.12 processor seconds for 168 MB
J
check "results are collected" figures collect "$base" "$utils"
for q in '.[$b].bench.rows."erofs-dax" == {what: "w", stat: 1.235, mmap: 2, faults: 8, cache_kib: 5, slab_kib: 6}' \
	'.[$b].bench.sharing == {x: 0.9654} and .[$b].bench.files == 7' \
	'.[$b].demo == {output: ["One EROFS image", "Report: build/report.json"], saved_percent: 75}' \
	'.[$u].tools == {seconds: {"uncompressed, no inline data": {plain: 0.15, with: 0.18}}, hashing: "0.12 processor seconds for 168 MB"}'; do
	check "figures.json: $q" jq -e --arg b "$base" --arg u "$utils" "$q" "$top/figures.json"
done
done_testing
