"""What the model learns from: messages of both kinds, made up for this example."""

SPAM = """
Congratulations! You have won a free cruise. Call now to claim your prize
URGENT: your account has been suspended. Verify your password at this link
Get cheap loans today, no credit check, instant approval
You have been selected for a 1000 dollar gift card. Click here to claim
Lose 10 kilos in two weeks with this miracle pill, order now
Make money from home, earn 5000 a week, no experience needed
Final notice: your parcel is held, pay the delivery fee at this link
Hot singles in your area want to meet you tonight, reply YES
Your phone number has won our weekly lottery, text WIN to 80085
Limited offer! Buy one watch and get two free, today only
Claim your tax refund now, click the link and enter your bank details
Exclusive casino bonus: 200 free spins when you sign up today
Dear customer, your bank card is blocked, confirm your PIN here
Free ringtones! Text TONE to 4455, cost 3 per message
Double your bitcoin in 24 hours, guaranteed profit, invest now
Cheap medication without prescription, discreet shipping, order today
You are our lucky winner! Send your name and address to receive the prize
Work from home and be your own boss, unlimited income, sign up free
Act now! This offer expires at midnight, save 90 percent on software
Your subscription will be charged 399 unless you call this number now
Win a brand new phone, just answer this simple question and text back
Guaranteed investment returns of 30 percent a month, no risk
Your computer has a virus, call our support line immediately
Free entry into our competition to win tickets, text GO to 87121
Unclaimed inheritance of 4 million dollars, reply with your bank details
Last chance to claim your reward points, click before they expire
Consolidate your debt and save money, call free for a quote
Special promotion: unlimited calls for free, click to activate
Security alert: unusual login, click the link to verify your account
Earn cash for surveys, sign up now and get a 50 bonus free
Get rich with our trading signals, join free today, guaranteed wins
Congratulations, your number was selected to receive a cash prize, call now
""".strip().splitlines()

HAM = """
Are we still meeting for lunch tomorrow
Can you send me the slides from this morning
I will be home around seven, shall I bring bread
Happy birthday! Hope you have a lovely day
The meeting has moved to room 12, same time
Thanks for your help yesterday, it works now
Did you see the match last night, what a finish
Please review my pull request when you find the time
Mum says dinner is at six, do not be late
Running ten minutes late, start without me
How was your holiday, did the weather hold
I left my keys on your desk, can you look
The train is delayed again, see you at nine
Could we talk about the budget on Thursday afternoon
Your order from the bakery is ready, we close at five
The tests pass on my machine but not on the server
Let me know when you get home safely
Do you want to go for a walk after work
I finished the book you gave me, it was wonderful
The dentist can see you on Monday at half past three
Can you pick up the children from school today
Here are the notes from our call, tell me if I missed anything
We ran out of milk, could you get some
I am stuck in traffic, please tell the others
The new figures are in the shared folder
Sorry I missed your call, I was in a meeting
What time does the film start tonight
Good luck with your exam tomorrow, you will do well
Shall we split the bill for the present
I think the cat is hungry again, she had breakfast already
My phone died, I will call you when I am home
The landlord will come on Friday to look at the heating
""".strip().splitlines()
