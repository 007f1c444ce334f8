package person

import "slices"

// act is one thing that somebody can choose to do.
type act struct {
	name   string
	weight int // of all; how often it is chosen
	dealt  int // of ten people, how many do it early in a run for certain (deal.go)
	do     func(*Person) []op
}

// acts is what people do, and how often. A person for whom a choice makes no sense now (there is nothing to edit yet) says something
// instead.
func acts() []act { return slices.Concat(messages(), wrongs(), presence()) }

// messages are said, said again, changed and read.
func messages() []act {
	return []act{
		// Saying things.
		{"say", 260, 0, (*Person).says},
		{"say over REST", 60, 0, (*Person).posts},
		{"reply", 60, 5, (*Person).replies},
		{"mention", 40, 0, (*Person).mentions},
		{"mention of the absent", 20, 8, (*Person).mentionsAbsent},
		{"pipeline", 15, 3, (*Person).pipelines},

		// Saying the same again: at a random later time, on another device, at another gateway, from long before, all at once.
		{"resend", 60, 10, (*Person).resends},
		{"resend of old", 25, 6, (*Person).resendsOld},
		{"storm", 8, 4, (*Person).storms},

		// Changing things.
		{"edit", 45, 10, (*Person).edits},
		{"delete", 18, 10, (*Person).deletes},
		{"react", 50, 10, (*Person).reacts},
		{"unreact", 25, 5, (*Person).unreacts},

		// Reading.
		{"newest page", 70, 10, (*Person).readsNewest},
		{"older page", 30, 5, (*Person).readsOlder},
		{"page after", 20, 3, (*Person).readsAfter},
		{"mark", 60, 10, (*Person).marks},
		{"marks", 20, 5, (*Person).looksAtMarks},
	}
}

// wrongs must be refused.
func wrongs() []act {
	return []act{
		{"conflict", 20, 5, (*Person).conflicts},
		{"intrude", 20, 5, (*Person).intrudes},
		{"page of a closed channel", 12, 5, (*Person).peeks},
		{"too long", 6, 1, (*Person).saysTooMuch},
		{"empty", 6, 1, (*Person).saysNothing},
		{"malformed id", 8, 2, (*Person).malforms},
		{"edit of another's", 8, 2, (*Person).editsOthers},
		{"delete of another's", 6, 2, (*Person).deletesOthers},
		{"probe", 25, 10, (*Person).probes},
		{"trespass", 15, 20, (*Person).trespasses},
	}
}

// presence is who is where, and how.
func presence() []act {
	return []act{
		// Coming and going. Kicks and leaves are fewer than joins and adds, so that most people are in most channels.
		{"join", 30, 5, (*Person).joins},
		{"leave", 10, 6, (*Person).leaves},
		{"add", 14, 4, (*Person).adds},
		{"kick", 10, 0, (*Person).kicks},

		// Sockets and devices.
		{"connect", 25, 4, (*Person).connects},
		{"close", 10, 6, (*Person).closes},
		{"stall", 5, 4, (*Person).stalls},
		{"login", 6, 10, (*Person).signsIn},
		{"logout", 4, 8, (*Person).signsOut},
		{"revoke", 4, 6, (*Person).revokes},
		{"ban", 2, 0, (*Person).bans},
		{"try when signed out", 6, 8, (*Person).triesOut},

		// What nobody waits for.
		{"typing", 25, 2, (*Person).typesOnce},
		{"flood of typing", 4, 1, (*Person).floods},
		{"status", 12, 2, (*Person).sets},
	}
}
