/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package main

// endpointsResult is what was measured of one program that writes slices.
type endpointsResult struct {
	Name     string `json:"name"`
	Services int    `json:"services"`
	// Large is how many pods one more Service has.
	Large int `json:"largeService"`
	// Cold is a start without slices and Endpoints, Warm one with all of them, but
	// for changes made meanwhile.
	Cold startResult `json:"cold"`
	Warm startResult `json:"warm"`
	// Slow and Fast are changes spread over Services, InLarge in the large one.
	Slow    changesResult `json:"slow"`
	Fast    changesResult `json:"fast"`
	InLarge changesResult `json:"inLarge"`
	// PeakBytes is the peak of the resident memory after all changes.
	PeakBytes int64 `json:"peakBytes"`
}

type startResult struct {
	// Slices is from the start of the process until every pod was seen in a slice
	// as it should be; of those Right of Pods were, where patience was over before.
	Slices float64 `json:"slicesMs"`
	Right  int     `json:"right"`
	Pods   int     `json:"pods"`
	// All is when each Service had its Endpoints, too; zero if not.
	All float64 `json:"allMs,omitempty"`
	// CPU and Writes are until nothing more was written.
	CPU       float64        `json:"cpuMs"`
	Writes    map[string]int `json:"writes"`
	PeakBytes int64          `json:"peakBytes"`
}

// consistent says that patience was not over before.
func (r startResult) consistent() bool { return r.Pods > 0 && r.Right == r.Pods }

type changesResult struct {
	// PerSecond was asked for, Changes were made in Seconds.
	PerSecond int     `json:"perSecond"`
	Changes   int     `json:"changes"`
	Seconds   float64 `json:"seconds"`
	// Latency is from the answer to the write of the pod's status until a bare
	// watch had the slice. Of the Unseen it is how long they had been waited for.
	Latency quantiles `json:"latency"`
	Unseen  int       `json:"unseen"`
	// CPU is the process's time per change.
	CPU float64 `json:"cpuMsPerChange"`
	// Writes are requests that change something, by resource.
	Writes map[string]int `json:"writes"`
	// Plans are those of slices, by what they were of: all pods of a "service", or
	// the "pods" that had changed. Of a peer they are not known.
	Plans map[string]int `json:"plansOf,omitempty"`
}

// perChange is how many requests there were for one change.
func (r changesResult) perChange(resources ...string) float64 {
	sum := 0
	for _, resource := range resources {
		sum += r.Writes[resource]
	}
	return float64(sum) / float64(max(1, r.Changes))
}
