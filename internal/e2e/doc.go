// Package e2e is tests of the program as it is built: processes that are killed, secrets that are looked for in all
// they leave behind, and other people's servers. It has no code of its own; the services it needs are the sandbox's,
// moto's and versitygw's. REKEY_FULL=1 runs every case where a plain run takes a selection.
package e2e
