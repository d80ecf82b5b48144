# SPDX-License-Identifier: GPL-2.0-or-later
#
# DAX devices of carve-outs; to be sourced.
#
#   carveout_driver   the folder of the platform driver that makes them, in sysfs
#   dax_of RANGE      prints the DAX device of a range, without /dev
#   hand_over DEVICE  takes the memory of a DAX device from nd_pmem, if that has it,
#                     and gives the device to fsdev_dax, so that it can be mounted

carveout_driver=/sys/bus/platform/drivers/$CARVEOUT_DRIVER

dax_of()
{
	local dir

	for dir in "$carveout_driver"/*/; do
		[ "$(cat "$dir/name" 2>/dev/null)" != "$1" ] || (cd "$dir" && echo dax*.*)
	done
}

# An NVDIMM without labels gets no pages from nd_pmem, hence no DAX.  What is a range
# of the kernel parameter too can be taken from one driver and given to the other.
hand_over()
{
	local driver=/sys/bus/dax/drivers/fsdev_dax tries=0 n

	while [ ! -e "$driver/$1" ]; do
		for n in /sys/bus/nd/drivers/nd_pmem/namespace*; do
			[ ! -e "$n" ] || echo "${n##*/}" > /sys/bus/nd/drivers/nd_pmem/unbind
		done
		echo "$1" > $driver/bind && break
		# the other driver may be about to take it
		tries=$((tries + 1))
		[ $tries -lt 50 ] || return 1
		usleep 100000
	done 2> /dev/null
}
