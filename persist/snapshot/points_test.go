//go:build !race

package snapshot_test

// standardPoints is how many crashes every run of the suite goes through.
const standardPoints = 500
