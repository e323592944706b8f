//go:build race

package recovery_test

// standardPoints is lower under the race detector, which looks for something
// else and makes a crash many times slower.
const standardPoints = 10
