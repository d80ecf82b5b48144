# SPDX-License-Identifier: GPL-2.0-or-later
#
# DAX devices of carve-outs; to be sourced.
#
#   carveout_driver   the folder of the platform driver that makes them, in sysfs
#   dax_of RANGE      prints the DAX device of a range, without /dev

carveout_driver=/sys/bus/platform/drivers/$CARVEOUT_DRIVER

dax_of()
{
	local dir

	for dir in "$carveout_driver"/*/; do
		[ "$(cat "$dir/name" 2>/dev/null)" != "$1" ] || (cd "$dir" && echo dax*.*)
	done
}
