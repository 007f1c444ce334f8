package ctl

import (
	"math/rand/v2"
	"strings"
)

// Words of the people that a seed makes.
var (
	givenNames  = []string{"Ada", "Amir", "Anna", "Ben", "Carla", "Chen", "Dana", "Diego", "Elif", "Emma", "Femi", "Grace", "Hana", "Ivan", "Jonas", "Kofi", "Lena", "Luca", "Maria", "Mina", "Noor", "Oskar", "Priya", "Rosa", "Sam", "Tariq", "Uma", "Vera", "Wei", "Yuki", "Zoe"}
	familyNames = []string{"Almeida", "Andersson", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kaya", "Kowalski", "Lind", "Moreau", "Nakamura", "Novak", "Okafor", "Patel", "Petrov", "Rossi", "Santos", "Silva", "Tanaka", "Torres", "Virtanen", "Weber", "Yilmaz", "Zhang"}
	topics      = []string{"Planning and who does what", "Releases", "Questions, all of them welcome", "What breaks at night", "Customers and what they say", "Reading list", "Design reviews", "Lunch", "Numbers of the week", "Ideas that may come to nothing"}

	emojis = []string{"👍", "🎉", "👀", "😄", "✅", "❤️", "🙏", "🚀"}
)

// Each # in a sentence is one of things, each @ one of times.
var (
	openings = []string{
		"Has anybody looked at # yet?", "I moved # to @.", "Good morning! Today I am on #.", "# is done, please have a look.",
		"Can we talk about # @?", "Who knows how # works? I would like to change one thing.", "Short note: # will be slower than usual until @.",
		"The numbers for # are in: better than last week.", "I wrote down what we said about #. Comments welcome.", "# broke again, the same way as last time.",
		"Does # need a second pair of eyes?", "We have a visitor @ who wants to see #.", "I will be out @. For # please ask the others.",
		"Two people asked about # today. Should it go into the guide?", "Found the reason why # was late: a clock that was an hour off.",
		"Small win: # takes half the time now.", "Is it # or the network? I cannot tell from here.", "Reminder: # closes @.",
	}
	answers = []string{
		"Yes, I can do that @.", "Looks good to me.", "Not before @, sorry.", "Thanks, that helps.", "I saw the same with #.", "Let us keep it simple.",
		"Which one do you mean, # or the old one?", "Done.", "Nice!", "I would wait until @.", "Agreed. I will write it down.", "That was me. I will put it back.",
		"Could you add a line about #?", "Works here.", "Let me check and come back to you @.",
	}
	things = []string{"the release", "the budget", "the new sign-in page", "the import", "the quarterly report", "the office move", "the backup", "the onboarding guide", "the price list", "the support queue", "the search", "the map", "the invoice run", "the test bench", "the newsletter", "the contract with the printer"}
	times  = []string{"tomorrow", "on Monday", "after lunch", "this afternoon", "next week", "at ten", "before the weekend", "tonight"}
)

// sentence is something to say: an answer in a thread, else mostly a beginning.
func sentence(r *rand.Rand, answer bool) string {
	from := openings
	if answer || r.IntN(3) == 0 {
		from = answers
	}
	text := fill(r, from[r.IntN(len(from))])
	if r.IntN(6) == 0 {
		text += " " + fill(r, answers[r.IntN(len(answers))])
	}
	return text
}

func fill(r *rand.Rand, template string) string {
	var text strings.Builder
	for _, c := range template {
		switch c {
		case '#':
			text.WriteString(things[r.IntN(len(things))])
		case '@':
			text.WriteString(times[r.IntN(len(times))])
		default:
			text.WriteRune(c)
		}
	}
	s := text.String()
	return strings.ToUpper(s[:1]) + s[1:]
}
