// Package stats sums up what several rounds of a measurement came to.
package stats

import "slices"

// Median of some values; of an even number the mean of the two in the middle,
// of none 0.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
