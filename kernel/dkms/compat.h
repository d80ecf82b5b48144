/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the patched fs/erofs uses of the series' core patches, for a kernel that has
 * none of them: Linux 6.12 as distributions ship it.
 *
 * No DAX device says there that it notifies its holder, so EROFS claims none.
 * It then asks for the memory at each use, reports no extent as shared, and reads
 * chunk-based files through the page cache: fs/dax.c of such a kernel replaces the
 * entry of a shared extent at each fault.
 */
#ifndef __EROFS_COMPAT_H
#define __EROFS_COMPAT_H

#include <linux/dax.h>
#include <linux/kdev_t.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/version.h>
#include <linux/xarray.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0) || \
	LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#error "these sources are for Linux 6.12; boot a 6.12 kernel, or remove this package"
#endif

#if IS_BUILTIN(CONFIG_EROFS_FS)
#error "EROFS is part of this kernel (CONFIG_EROFS_FS=y); a module cannot replace it"
#endif

#ifdef EROFS_RAMDAX_VERSION
MODULE_VERSION(EROFS_RAMDAX_VERSION);
#endif

static inline bool dax_notifies_holder(struct dax_device *dax_dev)
{
	return false;
}

static inline int fs_dax_get(struct dax_device *dax_dev, void *holder,
			     const struct dax_holder_operations *ops)
{
	return -EOPNOTSUPP;
}

/* Called for each character device that somebody wants to mount. */
static inline struct dax_device *dax_dev_find(dev_t devt)
{
	pr_err("erofs: character device %u:%u: to mount DAX devices the kernel needs the patches of 2-dax; give the memory to nd_pmem (ndctl create-namespace --mode=fsdax) and mount /dev/pmemN with dax=always\n",
	       MAJOR(devt), MINOR(devt));
	return NULL;
}

static inline u64 dax_dev_size(struct dax_device *dax_dev)
{
	return 0;
}

static inline int dax_dev_name(struct dax_device *dax_dev, char *name,
			       size_t len)
{
	return -EOPNOTSUPP;
}

/* No fault-around: the handler maps the page of the fault, as in the stock module. */
#define IOMAP_F_FAULT_AROUND	0
static inline vm_fault_t dax_map_pages(struct vm_fault *vmf, pgoff_t start,
				       pgoff_t end)
{
	return 0;
}

/* How fs/dax.c of Linux 6.12 writes an entry: DAX_SHIFT and the flags below it. */
#define EROFS_COMPAT_DAX_SHIFT	4
#define EROFS_COMPAT_DAX_PMD	BIT(1)
#define EROFS_COMPAT_DAX_NONE	(BIT(2) | BIT(3))	/* zero page, empty */

/*
 * Is a page of the mapping referenced by somebody?  dax_layout_busy_page() would look
 * only at files that are mapped.
 */
static inline bool dax_mapping_in_use(struct address_space *mapping)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	bool busy = false;
	void *entry;

	if (!dax_mapping(mapping))
		return false;
	xas_lock_irq(&xas);
	xas_for_each(&xas, entry, ULONG_MAX) {
		unsigned long value = xa_is_value(entry) ? xa_to_value(entry) :
			EROFS_COMPAT_DAX_NONE;
		unsigned long pfn = value >> EROFS_COMPAT_DAX_SHIFT;
		unsigned long nr = value & EROFS_COMPAT_DAX_PMD ?
			PMD_SIZE >> PAGE_SHIFT : 1;

		if (value & EROFS_COMPAT_DAX_NONE)
			continue;
		for (; nr && !busy; nr--, pfn++)
			busy = page_ref_count(pfn_to_page(pfn)) > 1;
		if (busy)
			break;
	}
	xas_unlock_irq(&xas);
	return busy;
}

#endif
