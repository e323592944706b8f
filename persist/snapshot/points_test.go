//go:build !race

package snapshot_test

// standardPoints is how many crashes every run of the suite goes through; those
// of recovery, on real files, are 200 more.
const standardPoints = 300
