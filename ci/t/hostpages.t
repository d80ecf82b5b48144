#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hostpages.t - hostpages against processes that touch known pages
. "$(dirname "$0")/../helpers/hostpages.sh"

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
run --guest=$b:"$shm/in.b" --guest=$a:"$shm/in.a" "$img" $a $b $c
is "guests: touched, mapped, mapped and not resident" \
	"$(q '[.guests[] | [.pid, (.touched_bytes, .mapped_bytes, .mapped_absent_bytes | . / 4096)]]')" "[[$b,100,21,1],[$a,100,20,0]]"
is "guests: counters" "$(q '[.guests[].counters]')" '[{},{"dax_faults_pte":20,"sum":4503599627370496}]'
is "guests: mapped by how many" "$(q '[.mapped_by[] | .bytes / 4096]')" "[21,10]"
is "guests: parts" "$(q '[.parts[] | [.start / 4096, .length / 4096, .touched_by, .mapped_by]]')" \
	"[[0,10,[$a],[]],[10,10,[$a],[$a]],[20,30,[$a],[]],[50,10,[$b,$a],[]],[60,10,[$b,$a],[$b,$a]],[70,10,[$b,$a],[$b]],[80,20,[$b,$a],[]],[100,50,[$b],[]],[200,1,[],[$b]]]"
is "guests: the rest is as without them" "$status $(q '[.users[].rss_bytes / 4096], [.shared_by[].bytes / 4096]' | tr -d '\n')" "0 [100,100,500][490,90,10]"
text=$("$shm/hostpages" --guest=$a:"$shm/in.a" --guest=$b:"$shm/in.b" "$img" $a $b)
is "guests: text: exit status" "$?" 0
like "guests: text: figures" "$text" "$(printf "%8d" $a)   400.0 KiB   10 %   80.0 KiB    2 %"
like "guests: text: parts" "$text" "$(printf '%8d' $b) |...+#-----..+...................................................|"
like "guests: text: counters" "$text" "$(printf '  %-44s%15s' dax_faults_pte 20)"
like "guests: text: mapped by both" "$text" "   2 of 2       40.0 KiB"
# More guests than a word has bits: each has touched page 0, the k-th has mapped page k.
many=() names=()
for ((k = 0; k < 70; k++)); do
	start "$img" shared:0:1024 write:0:1
	many+=("$pid")
	printf 'mapped %d 4096\n' $((k * 4096)) > "$shm/in.many.$k"
	names+=(--guest=$pid:"$shm/in.many.$k")
done
run "${names[@]}" "$img" "${many[@]}"
is "70 guests: who has touched what" "$status $(q '.parts[0].touched_by | length'),$(q '[.parts[1:][].touched_by[]] | length')" "0 70,0"
is "70 guests: who has mapped what" "$(q '[.parts[].mapped_by[]]')" "$(printf '%s\n' "${many[@]}" | jq -sc .)"
is "70 guests: by how many" "$(q '[.mapped_by[].bytes / 4096] | .[0], (.[1:] | add)' | tr '\n' ' ')" "70 0 "
stop "${many[@]}"
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

done_testing
