// Package reach has the rules of how people are reached: what a member wants to be woken for, which threads they follow,
// which of their browsers take Web Push, and which webhooks of a workspace are told its deliveries.
//
// It promises that what is kept through it can be used by whoever sends (services/deliver): an address is an https URL, a
// browser's keys are keys, and a webhook has a secret that nobody chose. Whether an address may be connected to is decided
// there again, when its name is resolved: a name that leads somewhere else tomorrow cannot be refused today.
//
// What a user may not see is NotFound. The package sends nothing, and knows no SQL and no HTTP.
package reach
