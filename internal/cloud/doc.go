// Package cloud owns how this program talks to AWS: one Session per environment with its region, role (taken with a
// person's credentials or a job's identity, see roles.go), endpoint, rate and time limits, made once and handed to
// whoever needs a client; the fence in its transport; and what an error of AWS means.
//
// Every call of a Session passes the transport in fence.go. A call that may change something leaves only while
// the fence of its context lets it pass (see rotation.WithFence), asked again for every attempt; so whoever holds
// no lease can read and nothing else. Package cloud must never decide what to call, keep a response body, or
// put into an error anything a value could hide in.
package cloud
