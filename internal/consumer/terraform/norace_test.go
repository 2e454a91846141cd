//go:build !race && unix

package terraform

const racing = false
