/* SPDX-License-Identifier: MIT */
/*
 * renamed.h: other names for all that the tested sources define, since other suites include them
 * too.  Included before any header, so that the declarations there are renamed as well.
 */
#ifndef QUARRY_TESTS_MACHINES_RENAMED_H
#define QUARRY_TESTS_MACHINES_RENAMED_H

#define acpi                 machine_acpi
#define acpi_init            machine_acpi_init
#define acpi_node_of         machine_acpi_node_of
#define bootinfo             machine_bootinfo
#define boot_info_init       machine_info_init
#define boot_is_ram          machine_is_ram
#define boot_trampoline_page machine_trampoline
#define multiboot2_parse     machine_multiboot2
#define apic_read            machine_apic_read
#define apic_write           machine_apic_write
#define apic_id              machine_apic_id
#define apic_max_id          machine_apic_max_id
#define apic_eoi             machine_apic_eoi
#define apic_send            machine_apic_send
#define apic_send_self       machine_apic_send_self
#define apic_enable          machine_apic_enable
#define ioapic_route         machine_ioapic_route
#define ioapic_route_isa     machine_ioapic_route_isa
#define ioapic_vector        machine_ioapic_vector
#define ioapic_move          machine_ioapic_move
#define arch_apic_init       machine_apic_init
#define arch_irqs_pending    machine_irqs_pending
#define clock_init           machine_clock_init
#define clock_compare        machine_clock_compare
#define clock_tsc_hz         machine_tsc_hz
#define clock_apic_hz        machine_apic_hz
#define clock_assumed        machine_assumed
#define arch_clock_ns        machine_clock_ns
#define acpi_mode            machine_acpi_mode
#define acpi_events_start    machine_events_start
#define acpi_interrupt       machine_acpi_interrupt
#define acpi_slot_ports      machine_slot_ports
#define power_init           machine_power_init
#define power_off_wanted     machine_off_wanted
#define machine_power_off    machine_switch_off
#define mce_init_cpu         machine_mce_init
#define mce_exception        machine_mce_exception
#define mce_poll             machine_mce_poll
#define mce_parked           machine_mce_parked
#define mce_inject           machine_mce_inject
#define mce_print_banks      machine_mce_print
#define arch_cpus_init       machine_cpus_init
#define smp_start_aps        machine_start_aps
#define arch_cpu_start       machine_cpu_start
#define arch_cpu_stop        machine_cpu_stop
#define ap_main              machine_ap_main
#define ap_slots             machine_ap_slots
#define ap_nr_slots          machine_ap_nr_slots
/* Variables that the sources set, but of other files. */
#define cpus         machine_cpus
#define nr_cpus      machine_nr_cpus
#define nr_boot_cpus machine_nr_boot_cpus

#endif
