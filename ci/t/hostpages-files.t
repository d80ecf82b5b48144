#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hostpages-files.t - hostpages and files that are named, mapped or kept in odd ways
. "$(dirname "$0")/../helpers/hostpages.sh"

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

done_testing
