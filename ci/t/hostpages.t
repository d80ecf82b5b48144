#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hostpages.t - hostpages against processes that touch known pages
#
# Every figure is compared with what follows from the pages that maptouch was
# told to touch, and with what the kernel's smaps says.  Pages are touched by
# writing, because a read fault maps neighbours too.  As root all is tested;
# otherwise what needs root is skipped.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
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
for m in "${methods[@]}"; do
	run --method=$m "$img" $a $b $c
	is "$m: exit status" "$status" 0
	is "$m: method is named" "$(q .method)" "\"$m\""
	is "$m: image and its size" "$(q '[.image, .image_bytes, .page_bytes]')" "[\"$img\",4194304,4096]"
	is "$m: resident pages" "$(q '[.users[].rss_bytes / 4096]')" "[100,100,500]"
	is "$m: shared by k" "$(q '[.shared_by[] | [.users, .bytes / 4096]]')" "[[1,490],[2,90],[3,10]]"
	is "$m: unique, copies, saved" "$(q '[.unique_bytes, .private_copies_bytes, .saved_bytes | . / 4096]')" "[590,700,110]"
	is "$m: mapped" "$(q '[.users[].mapped_bytes]')" "[4194304,4194304,4194304]"
	# a: 50 alone, 40 with b, 10 with both; b: 40 with a, 50 with c, 10; c: 440, 50, 10
	is "$m: proportional share" "$(q '[.users[].pss_bytes]')" \
		"[$((4096 * (300 + 120 + 20) / 6)),$((4096 * (270 + 20) / 6)),$((4096 * (2640 + 150 + 20) / 6))]"
	is "$m: shares add up" "$(q '.pss_bytes - .unique_bytes')" 0
	is "$m: page cache, all of it mapped" "$(q '[.page_cache_bytes / 4096, .page_cache_unmapped_bytes]')" "[590,0]"
	is "$m: map" "$(q '[.map[] | [.start / 4096, .length / 4096, .users]]')" \
		"[[0,50,1],[50,40,2],[90,10,3],[100,50,2],[150,440,1]]"
	is "$m: nothing to remark" "$(q '[.notes, .skipped]')$err" "[[],[]]"
	i=0
	for p in $a $b $c; do
		is "$m: user $i: smaps has the same Rss" "$(q .users[$i].rss_bytes)" "$(smaps $p "$img" Rss)"
		diff=$(($(q .users[$i].pss_bytes) - $(smaps $p "$img" Pss)))
		# smaps cuts each page's share and the sum to whole units.
		if [ $diff -ge 0 ] && [ $diff -lt 1100 ]; then
			ok "$m: user $i: smaps has the same Pss"
		else
			not_ok "$m: user $i: smaps has the same Pss" "differs by $diff bytes"
		fi
		i=$((i + 1))
	done
done

# --- a page in the cache that nobody has, and a process outside the list
dd if=/dev/zero of="$img" bs=4096 seek=1000 count=7 conv=notrunc status=none
run "$img" $a $b
is "unmapped page cache" "$(q '.page_cache_unmapped_bytes / 4096')" $((597 - 150))
if root; then
	is "pages that others map too" "$(q '.outside_users_bytes / 4096')" 60
	is "a process outside has its share" "$(q .users[0].pss_bytes)" $((4096 * (300 + 120 + 20) / 6))
fi
run --method=pagemap "$img" $a $b
is "pagemap does not see others" "$(q '[.outside_users_bytes, .pss_bytes / 4096]')" "[null,150]"
prefix=(env LD_PRELOAD="$shm/kill.so" NO_CACHESTAT=1)
run "$img" $a $b
is "the same page cache by mincore" "$(q '.page_cache_unmapped_bytes / 4096')" $((597 - 150))
prefix=(env LD_PRELOAD="$shm/kill.so" NO_PAGEMAP_SCAN=1)
run "$img" $a $b $c
is "the same without PAGEMAP_SCAN" "$(q '[.shared_by[].bytes / 4096]')" "[490,90,10]"
prefix=()

# --- a user that is a kernel: what that has mapped of what the host sees of it
#     a touched 0-99, b 50-149; inside, a has mapped 10-19 and 60-69, b 60-79 and 200
printf 'mapped 40960 40960\nmapped 245760 40960\ncounter dax_faults_4k 20\ncounter sum 4503599627370496\n' > "$shm/in.a"
printf 'mapped 245760 81920\nmapped 819200 1\n' > "$shm/in.b"
run --guest=$b:"$shm/in.b" --guest=$a:"$shm/in.a" "$img" $a $b $c
is "guests: touched, mapped, mapped and not resident" \
	"$(q '[.guests[] | [.pid, (.touched_bytes, .mapped_bytes, .mapped_absent_bytes | . / 4096)]]')" "[[$b,100,21,1],[$a,100,20,0]]"
is "guests: counters" "$(q '[.guests[].counters]')" '[{},{"dax_faults_4k":20,"sum":4503599627370496}]'
is "guests: mapped by how many" "$(q '[.mapped_by[] | .bytes / 4096]')" "[21,10]"
is "guests: parts" "$(q '[.parts[] | [.start / 4096, .length / 4096, .touched_by, .mapped_by]]')" \
	"[[0,10,[$a],[]],[10,10,[$a],[$a]],[20,30,[$a],[]],[50,10,[$b,$a],[]],[60,10,[$b,$a],[$b,$a]],[70,10,[$b,$a],[$b]],[80,20,[$b,$a],[]],[100,50,[$b],[]],[200,1,[],[$b]]]"
is "guests: the rest is as without them" "$status $(q '[.users[].rss_bytes / 4096], [.shared_by[].bytes / 4096]' | tr -d '\n')" "0 [100,100,500][490,90,10]"
text=$("$shm/hostpages" --guest=$a:"$shm/in.a" --guest=$b:"$shm/in.b" "$img" $a $b)
is "guests: text: exit status" "$?" 0
like "guests: text: figures" "$text" "$(printf "%8d" $a)   400.0 KiB   10 %   80.0 KiB    2 %"
like "guests: text: parts" "$text" "$(printf '%8d' $b) |...+#-----..+...................................................|"
like "guests: text: counters" "$text" "$(printf '  %-44s%15s' dax_faults_4k 20)"
like "guests: text: mapped by both" "$text" "   2 of 2       40.0 KiB"
: > "$shm/in.none"
for line in "mapped 0 4194305" "mapped 4194304 4096" "mapped -4096 4096" "mapped 18446744073709551615 2" "mapped 0 0" \
	    "mapped 0" "mapped 0 1 1" "counter x" "counter x -1" "counter x\" 1" "nonsense" ""; do
	printf 'counter good 1\n%s\n' "$line" > "$shm/in.bad"
	text=$("$shm/hostpages" --json --guest=$a:"$shm/in.bad" "$img" $a 2>&1)
	is "guests: refused: '$line'" "$? ${text#*: }" "2 $shm/in.bad:2: neither 'mapped OFFSET LENGTH' within the image nor 'counter NAME VALUE'"
done

# --- text
text=$("$shm/hostpages" --map "$img" $a $b $c)
is "text: exit status" "$?" 0
like "text: unique" "$text" "in memory, each page once                       2.3 MiB"
like "text: map" "$text" "      0 B |1111111111111111111111111111111111111111111111111122222222222222| 100 %"
like "text: map, page cache only" "$text" "    3.8 MiB |........................................-------.................|   0 %"

# --- who cannot be counted: the rest still is
dead=$(bash -c 'echo $$')
run "$img" $a $dead $b $$
is "no such process, not a user: status" "$status" 1
is "no such process, not a user: named" "$(q '[.skipped[].pid]')" "[$dead,$$]"
like "no such process: reason" "$err" "process $dead is not counted: there is no such process"
like "not a user: reason" "$err" "process $$ is not counted: it does not map the image"
is "the rest is counted" "$(q '[.users[].rss_bytes / 4096]')" "[100,100]"
run "$img" $a $a
is "given twice, counted once" "$status $(q '.users | length')" "0 1"
run --all "$img"
is "--all finds them" "$(q '[.users[].pid] | sort')" "$(printf '%s\n' $a $b $c | jq -sc sort)"
is "--all: exit status says whether some were hidden" "$status" "$(q 'if .skipped == [] then 0 else 1 end')"

for m in "${methods[@]}"; do
	start "$img" shared:0:1024 write:0:300; d=$pid
	prefix=(env LD_PRELOAD="$shm/kill.so" KILL_ON_PREAD="$d")
	run --method=$m --guest=$d:"$shm/in.a" --guest=$b:"$shm/in.b" "$img" $d $a $b
	is "$m: killed while counted: its guest" "$(q '[.guests[].pid]')" "[$b]"
	is "$m: killed while counted: status, rest" "$status $(q '[.users[].rss_bytes / 4096], [.shared_by[].bytes / 4096]' | tr -d '\n')" \
		"1 [100,100][100,50]"
	like "$m: killed while counted: reason" "$err" "process $d is not counted: it ended while it was being counted"
done
prefix=()

# --- private mappings: 20 pages copied in place of the image's
start "$img" private:0:1024 write:0:20; d=$pid
run "$img" $a $d
is "private copies are no image pages" "$(q '[.users[1].rss_bytes, .users[1].private_copy_bytes, .unique_bytes | . / 4096]')" "[0,20,100]"
is "private copies: in smaps' Rss" "$(q .users[1].smaps_rss_bytes)" $((20 * 4096))
is "private copies: no remark" "$(q .notes)" "[]"
stop $d
# Mapped alone, 16 pages are read: nothing around them can be mapped.
start "$img" private:64:16 read:0:16 write:0:4; d=$pid
run "$img" $a $d
is "private mapping: 12 shared, 4 copied" \
	"$(q '[(.users[1] | .rss_bytes, .private_copy_bytes), .shared_by[1].bytes | . / 4096]')" "[12,4,12]"
stop $d

# --- odd offsets, and the same pages twice in one process
start "$img" shared:37:100 write:0:50 shared:61:40 write:0:40 anon; d=$pid
# 37-86 and 61-100: 64 different pages, 90 mapped; of them a has 37-99
run "$img" $a $d
is "mapped twice: each page once" "$(q '[.users[1] | .rss_bytes, .mapped_bytes | . / 4096]')" "[64,140]"
is "mapped twice: smaps has each mapping" "$(q '.users[1].smaps_rss_bytes / 4096')" 90
is "mapped twice: shared" "$(q '[.shared_by[].bytes / 4096]')" "[38,63]"
run --method=pagemap "$img" $d
# 26 pages are in both mappings, and still all d's own
is "mapped twice: share" "$(q '.users[0].pss_bytes / 4096')" 64
stop $d

# --- threads and borrowed memory
start "$img" shared:0:10 write:0:10 vfork; e=$(cat /proc/$pid/task/$pid/children)
run "$img" $pid $e
is "vfork: one memory, counted once" "$status $(q '.users | length')" "0 1"
stop $e 2>/dev/null

# --- names: deleted, replaced, renamed, linked, odd
old=$shm/old.img
truncate -s 64K "$old"
start "$old" shared:0:16 write:0:5; d=$pid
mv "$old" "$shm/renamed.img"
run "$shm/renamed.img" $d
is "renamed while mapped" "$status $(q '.unique_bytes / 4096')" "0 5"
ln -s renamed.img "$shm/link.img"
run "$shm/link.img" $d
is "through a symbolic link" "$status $(q '.unique_bytes / 4096')" "0 5"
rm "$shm/renamed.img"
stop $d
truncate -s 64K "$old"
start "$old" shared:0:16 write:0:5; d=$pid
rm "$old"
if root; then
	run "$old" $d
	is "deleted: by its old name" "$status $(q '.unique_bytes / 4096')" "0 5"
	like "deleted: said so" "$err" "was deleted: counting the file that is still mapped"
	run --all "$old"
	is "deleted: --all" "$(q '.unique_bytes / 4096')" 5
	range=$(ls -l /proc/$d/map_files | awk -v n="$old" 'index($0, n) { print $9 }')
	run "/proc/$d/map_files/$range" $d
	is "deleted: as map_files" "$status $(q '.unique_bytes / 4096')" "0 5"
else
	run "$old" $d
	like "deleted: says who may" "$err" "only root may open it"
fi
truncate -s 64K "$old"
run "$old" $d
is "replaced: not taken for the new one" "$status $(q '.unique_bytes')" "1 0"
like "replaced: says how to count the old one" "$err" "maps a deleted file of that name"
stop $d
odd=$shm/$'new\nline "q\\ \xff \xc3\xa4'
truncate -s 64K "$odd"
start "$odd" shared:0:16 write:0:3 $'name:\e[31m"\xff'; d=$pid
run "$odd" $d
is "odd names: JSON" "$status $(q '.unique_bytes / 4096') $(q .users[0].comm)" '0 3 "\u001b[31m\"�"'
if LC_ALL=C "$shm/hostpages" "$odd" $d | LC_ALL=C grep -q $'\e'; then
	not_ok "odd names: none reaches the terminal" "an escape character does"
else
	ok "odd names: none reaches the terminal"
fi
rm "$odd"
run "$odd" $d
root && is "odd names: deleted" "$status $(q '.unique_bytes / 4096')" "0 3"
stop $d

# --- empty, wrong
: > "$shm/empty"
start "$shm/empty" shared:0:1; d=$pid
run --map "$shm/empty" $d
is "empty file" "$status $(q '[.image_bytes, .unique_bytes, .saved_bytes]')" "0 [0,0,0]"
stop $d
misuse() {
	local what=$1 msg=$2
	shift 2
	text=$("$shm/hostpages" "$@" 2>&1 >"$shm/stdout")
	is "$what: status, no report" "$?$(cat "$shm/stdout")" 2
	like "$what: message" "$text" "$msg"
}
misuse "no such file" "none.img: No such file" "$shm/none.img" $a
misuse "no such folder" "No such file" "$shm/none/none.img" $a
misuse "a folder" "neither a regular file nor a block device" "$shm" $a
misuse "a device" "neither a regular file nor a block device" /dev/null $a
misuse "no image" "no image given"
misuse "no process" "no process given" "$img"
misuse "no number" "not a process id: 12x" "$img" 12x
misuse "zero" "not a process id: 0" "$img" 0
misuse "too large" "not a process id" "$img" 99999999999999999999
misuse "guest: no file" "write PID:FILE" --guest=$a "$img" $a
misuse "guest: no such file" "No such file" --guest=$a:"$shm/none" "$img" $a
misuse "guest: a folder" "Is a directory" --guest=$a:"$shm" "$img" $a
misuse "guest: given twice" "was given before" --guest=$a:"$shm/in.none" --guest=$a:"$shm/in.a" "$img" $a
misuse "guest: not counted" "process $b is not one of those" --guest=$b:"$shm/in.b" "$img" $a
misuse "no such method" "no such method: guess" --method=guess "$img" $a
misuse "no such option" "see hostpages --help" --nonsense "$img" $a
"$shm/hostpages" "$img" $a > /dev/full 2>"$shm/err"
is "full disk" "$? $(cat "$shm/err")" "2 hostpages: cannot write the report: No space left on device"

# --- without root
if root; then
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all)
	chmod 666 "$img"
	start -p setpriv -p --reuid=65534 -p --regid=65534 -p --clear-groups "$img" shared:0:1024 write:0:70; d=$pid
	start -p setpriv -p --reuid=65534 -p --regid=65534 -p --clear-groups "$img" shared:0:1024 write:60:70; e=$pid
	prefix=("${nobody[@]}")
	run "$img" $d $e
	is "not root: exact by pagemap" "$status $(q .method) $(q '[.shared_by[].bytes / 4096]')" '0 "pagemap" [120,10]'
	is "not root: share" "$(q '[.users[].pss_bytes / 4096]')" "[65,65]"
	run "$img" $d $a $e
	is "not root: another user's process" "$status $(q '[.shared_by[].bytes / 4096]') $(q '[.skipped[].pid]')" "1 [120,10] [$a]"
	like "not root: reason" "$err" "no permission to read its page tables; run hostpages as the same user or as root"
	run --all "$img"
	is "not root: --all" "$status $(q '[.users[].pid] | sort')" "1 $(printf '%s\n' $d $e | jq -sc sort)"
	chmod 644 "$img"
	run "$img" $d $e
	for nocache in "" NO_CACHESTAT=1; do
		prefix=("${nobody[@]}" env LD_PRELOAD="$shm/kill.so" $nocache)
		run "$img" $d $e
		# Kernels before 6.15 told anybody by cachestat; none by mincore.
		case "$nocache$(q .page_cache_bytes)" in
		null | $((597 * 4096)) | NO_CACHESTAT=1null) ok "not root: page cache unknown or right ${nocache,,}" ;;
		*) not_ok "not root: page cache unknown or right ${nocache,,}" "$(q .page_cache_bytes)" ;;
		esac
	done
	chmod 600 "$img"
	prefix=("${nobody[@]}")
	run "$img" $d $e
	is "not root: unreadable image" "$status $(q '[.shared_by[].bytes / 4096, .page_cache_bytes]')" "0 [120,10,null]"
	misuse() { text=$("${nobody[@]}" "$shm/hostpages" "${@:3}" 2>&1); is "$1" "$?" 2; like "$1: message" "$text" "$2"; }
	misuse "not root: kpagecount" "needs root" --method=kpagecount "$img" $d
	prefix=()
	stop $d $e
else
	skip "unprivileged use" "needs root to become nobody"
fi

# --- overlayfs: maps and stat name different devices
if root && mkdir "$shm/lower" "$shm/lower2" "$shm/merged" && truncate -s 64K "$shm/lower/f" &&
   mount -t tmpfs none "$shm/lower2" 2>/dev/null &&
   mount -t overlay -o lowerdir="$shm/lower:$shm/lower2" none "$shm/merged" 2>/dev/null; then
	start "$shm/merged/f" private:0:16 read:0:16; d=$pid
	run "$shm/merged/f" $d
	is "overlayfs" "$status $(q '[.unique_bytes / 4096, .notes]')" "0 [16,[]]"
	stop $d
	umount "$shm/merged" "$shm/lower2"
else
	skip "overlayfs" "cannot mount one"
fi

# --- huge pages: 2 MiB at a time, from offset 2 MiB on
if root && mkdir "$shm/huge" && mount -t tmpfs -o huge=always none "$shm/huge" 2>/dev/null &&
   truncate -s 8M "$shm/huge/f"; then
	start "$shm/huge/f" shared:0:2048 write:512:1; d=$pid
	start "$shm/huge/f" shared:0:2048 write:1:1 write:513:1; e=$pid
	huge=$(smaps $d "$shm/huge/f" ShmemPmdMapped)
	for m in kpagecount pagemap; do
		run --method=$m "$shm/huge/f" $d $e
		is "huge pages, $m" "$(q '[.users[].rss_bytes]')$(q .notes)" \
			"[$(smaps $d "$shm/huge/f" Rss),$(smaps $e "$shm/huge/f" Rss)][]"
	done
	if [ "$huge" -gt 0 ]; then
		is "huge pages: shared" "$(q '[.shared_by[].bytes / 4096]')" "[512,512]"
	else
		skip "huge pages: shared" "the kernel gave none"
	fi
	stop $d $e
	umount "$shm/huge"
else
	skip "huge pages" "needs root"
fi

# --- hugetlbfs; the machine's setting is changed for a moment, so only in CI
if root && [ "${CI:-}" = true ] && [ -w $hugepages ] && mkdir "$shm/hugetlb" &&
   mount -t hugetlbfs -o pagesize=2M none "$shm/hugetlb" 2>/dev/null; then
	hugepages_before=$(cat $hugepages)
	echo $((hugepages_before + 8)) > $hugepages
	truncate -s 8M "$shm/hugetlb/f"
	start "$shm/hugetlb/f" shared:0:4 write:0:2; d=$pid
	start "$shm/hugetlb/f" shared:0:4 write:1:2; e=$pid
	start "$shm/hugetlb/f" private:0:4 write:0:1; f=$pid
	for m in kpagecount pagemap; do
		run --method=$m "$shm/hugetlb/f" $d $e $f
		is "hugetlbfs, $m" "$status $(q '[.shared_by[].bytes / 2097152]')$(q '[.users[].private_copy_bytes / 2097152]')$(q .page_cache_bytes/2097152)$(q .notes)" "0 [2,1,0][0,0,1]3[]"
	done
	stop $d $e $f
	umount "$shm/hugetlb"
	echo "$hugepages_before" > $hugepages
	hugepages_before=
else
	skip "hugetlbfs" "only as root with CI=true: it lends huge pages for a moment"
fi

# --- a huge sparse file costs nothing where nobody maps it
truncate -s 4T "$shm/sparse"
start "$shm/sparse" shared:1073741000:8 write:0:8 shared:0:27000000 write:26999999:1; d=$pid
before=$SECONDS
run "$shm/sparse" $d
is "4 TiB, sparse" "$status $(q '.unique_bytes / 4096')" "0 9"
is "map at its far end" "$(q '[.map[].start / 4096]')" "[26999999,1073741000]"
[ $((SECONDS - before)) -le 3 ] && ok "quickly" || not_ok "quickly" "$((SECONDS - before)) s"
stop $d

# --- all of it once more under the sanitizers
cc -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover \
	-o "$shm/sane" "$top"/qemu/host/hostpages*.c || die "no build with sanitizers"
export ASAN_OPTIONS=detect_leaks=0
for args in "--json $img $a $b $c" "--json --guest=$a:$shm/in.a --guest=$b:$shm/in.b $img $a $b" \
	    "--guest=$b:$shm/in.b $img $b" "--map $img $a $b $c" "--json --all --method=pagemap $img" \
	    "$img $a $dead $$" "--map $shm/empty $a"; do
	text=$("$shm/sane" $args 2>&1)
	status=$?
	if [ $status -le 1 ] && [[ $text != *Sanitizer* ]] && [[ $text != *"runtime error"* ]]; then
		ok "sanitizers: ${args//$shm\//}"
	else
		not_ok "sanitizers: ${args//$shm\//}" "$text"
	fi
done

echo "1..$n"
exit $failed
