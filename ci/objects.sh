# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ci/objects.sh - what to build of a kernel tree; to be sourced
#
#   objects TREE   makes build targets of the changed files on stdin: whole directories
#                  of file systems and drivers that have a Kconfig of their own,
#                  single objects elsewhere

objects()
{
	local d f

	while read -r f; do
		case $f in
		tools/*|*/tools/*) ;;
		*.c)	d=$(dirname "$f")
			if [ "$d" != fs ] && [ "$d" != mm ] && [ -e "$1/$d/Kconfig" ]; then
				echo "$d/"
			else
				echo "${f%.c}.o"
			fi ;;
		esac
	done | sort -u
}
