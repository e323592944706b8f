//go:build !race

package recovery_test

// standardPoints is how many crashes every run of the suite goes through.
const standardPoints = 200
