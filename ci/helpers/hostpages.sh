# SPDX-License-Identifier: GPL-2.0-or-later
#
# ci/helpers/hostpages.sh - what the tests of hostpages have in common; to be sourced
#
# Every figure is compared with what follows from the pages that maptouch was
# told to touch, and with what the kernel's smaps says.  Pages are touched by
# writing, because a read fault maps neighbours too.  As root all is tested;
# otherwise what needs root is skipped.
#
#   $img, $a, $b, $c   an image, and three processes that have pages of it
#   $dead              the number of a process that has ended
#   $methods           ways of counting that there are here
#   start, stop        more such processes
#   run, q, pages      hostpages --json, and what it says
#   ok, not_ok, skip, is, like, done_testing
set -u

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export BUILD=${BUILD:-$top/build}
[[ $BUILD = /* ]] || BUILD=$PWD/$BUILD

shm=$(mktemp -d /dev/shm/hostpages.XXXXXX) || exit 1
chmod 755 "$shm"
pids=()
hugepages=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages
hugepages_before=

cleanup() {
	local p
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	umount "$shm/huge" "$shm/merged" "$shm/lower2" "$shm/hugetlb" 2>/dev/null
	[ -z "$hugepages_before" ] || echo "$hugepages_before" > $hugepages
	rm -rf "$shm"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

n=0
failed=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); failed=1; echo "not ok $n - $1"; echo "$2" | sed 's/^/# /'; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got  $2
want $3"; fi; }
like() { if [[ $2 == *"$3"* ]]; then ok "$1"; else not_ok "$1" "'$3' is not in: $2"; fi; }
root() { [ "$(id -u)" = 0 ]; }
die() { echo "Bail out! $*"; exit 1; }

make -s -C "$top" host-tools >&2 || die "hostpages does not build"
cp "$BUILD/host/hostpages" "$shm/hostpages"
cc -O2 -Wall -Wextra -Werror -o "$shm/maptouch" "$top/ci/helpers/maptouch.c" ||
	die "maptouch does not build"
cc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$shm/kill.so" \
	"$top/ci/helpers/kill-on-pread.c" -ldl || die "kill-on-pread does not build"

# start [COMMAND PREFIX --] FILE MAPTOUCH-COMMAND...: sets $pid
start() {
	local pre=() out="$shm/out.${#pids[@]}" i
	while [ "$1" = -p ]; do pre+=("$2"); shift 2; done
	: > "$out"
	"${pre[@]}" "$shm/maptouch" "$@" > "$out" 2>&1 &
	pid=$!
	disown $pid
	pids+=("$pid")
	for ((i = 0; i < 500; i++)); do
		grep -q ready "$out" && return
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.01
	done
	grep -q ready "$out" || die "maptouch $*: $(cat "$out")"
}
stop() { local p; for p; do kill "$p"; while kill -0 "$p" 2>/dev/null; do sleep 0.01; done; done; }

# run ARG...: $status, $json, $err
run() {
	json=$("${prefix[@]}" "$shm/hostpages" --json "$@" 2>"$shm/err")
	status=$?
	err=$(cat "$shm/err")
}
prefix=()
q() { jq -c "$1" <<<"$json"; }
pages() { q "$1 / 4096"; }

# What the kernel says of the mappings of file $2 in process $1, in bytes.
smaps() {
	awk -v ino="$(stat -Lc %i "$2")" -v field="$3:" '
		/^[0-9a-f]+-[0-9a-f]+ / { ours = $5 == ino }
		ours && $1 == field { sum += $2 }
		END { print sum * 1024 }' "/proc/$1/smaps"
}

img=$shm/golden.img
truncate -s 4M "$img"
[ "$(getconf PAGESIZE)" = 4096 ] || { echo "1..0 # SKIP written for pages of 4 KiB"; exit 0; }

# --- three users that overlap: a 0-99, b 50-149, c 90-589
#     by all: 90-99 = 10; by two: 50-89 and 100-149 = 90; by one: 50 + 440 = 490
start "$img" shared:0:1024 write:0:100; a=$pid
start "$img" shared:0:1024 write:50:100; b=$pid
start "$img" shared:0:1024 write:90:500; c=$pid
methods=(pagemap)
root && methods+=(kpagecount)
# What guests a and b say of themselves: a has mapped 10-19 and 60-69, b 60-79 and 200.
printf 'mapped 40960 40960\nmapped 245760 40960\ncounter dax_faults_pte 20\ncounter sum 4503599627370496\n' > "$shm/in.a"
printf 'mapped 245760 81920\nmapped 819200 1\n' > "$shm/in.b"
: > "$shm/in.none"
# The number of a process that has ended.
dead=$(bash -c 'echo $$')

done_testing()
{
	echo "1..$n"
	exit $failed
}
