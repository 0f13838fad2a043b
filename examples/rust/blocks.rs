// SPDX-License-Identifier: MIT
//! blocks.rs: blocks of pages that are freed with their owner; docs/porting.md compiles it.
use std::ffi::c_void;
use std::os::raw::{c_int, c_uint};
use std::ptr::{addr_of_mut, null, null_mut};

const GFP_KERNEL: c_uint = 0x00;
const GFP_ZERO: c_uint = 0x20;

macro_rules! opaque {
    ($($name:ident)*) => { $(#[repr(C)] struct $name([u8; 0]);)* }; // used by address only
}
opaque!(Memory Page ReclaimOps Zone);

extern "C" {
    static mut kernel_memory: Memory;
    fn host_start_with(cpus: c_uint, reclaim: *const ReclaimOps);
    fn mem_alloc_pages(mem: *mut Memory, gfp: c_uint, order: c_uint) -> *mut Page;
    fn mem_free_pages(mem: *mut Memory, page: *mut Page, order: c_uint) -> c_int;
    fn drain_all_pages(mem: *mut Memory, zone: *mut Zone) -> c_int;
    fn kmalloc(size: usize) -> *mut c_void;
    fn kfree(ptr: *mut c_void);
}

/// 2^order pages, by their descriptor.
struct Block(*mut Page, c_uint);

impl Block {
    fn new(order: c_uint) -> Option<Block> {
        let gfp = GFP_KERNEL | GFP_ZERO;
        let page = unsafe { mem_alloc_pages(addr_of_mut!(kernel_memory), gfp, order) };
        (!page.is_null()).then(|| Block(page, order))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let err = unsafe { mem_free_pages(addr_of_mut!(kernel_memory), self.0, self.1) };
        assert_eq!(err, 0, "a block of order {} was not allocated", self.1);
    }
}

/// Zeroed bytes, at most 2 MiB.
struct Bytes(*mut c_void, usize);

impl Bytes {
    fn new(size: usize) -> Option<Bytes> {
        let ptr = unsafe { kmalloc(size) };
        (!ptr.is_null()).then(|| Bytes(ptr, size))
    }

    fn slice(&mut self) -> &mut [u8] {
        unsafe { std::slice::from_raw_parts_mut(self.0.cast(), self.1) }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        unsafe { kfree(self.0) }
    }
}

/// The blocks of 8 pages that can be had now: takes all and gives them back.
fn spare() -> usize {
    unsafe { drain_all_pages(addr_of_mut!(kernel_memory), null_mut()) };
    std::iter::from_fn(|| Block::new(3)).collect::<Vec<_>>().len()
}

fn main() {
    unsafe { host_start_with(2, null()) }; // two CPUs, 256 MiB: this thread is CPU 0
    let mut bytes = Bytes::new(8192).expect("no memory");
    let before = spare();
    let blocks: Vec<_> = (0..1000).filter_map(|_| Block::new(3)).collect();
    let meanwhile = spare();
    drop(blocks);
    assert!(bytes.slice().iter().all(|b| *b == 0));
    bytes.slice().fill(1);
    println!("{before} blocks, {meanwhile} meanwhile, {} now", spare());
    assert_eq!((before - 1000, before), (meanwhile, spare()));
}
