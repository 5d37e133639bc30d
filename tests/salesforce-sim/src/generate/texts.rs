//! What customers and agents write.

use std::fmt::Write;

use super::random::Random;

/// Sentences of one language.
#[derive(Debug)]
pub(super) struct Language {
    /// ISO code.
    pub(super) code: &'static str,
    /// How often it is spoken, in hundredths.
    pub(super) weight: usize,
    greeting: &'static str,
    subjects: [&'static str; 4],
    customer: [&'static str; 5],
    agent: [&'static str; 4],
    closing: &'static str,
}

/// All languages, English first.
pub(super) const LANGUAGES: [Language; 12] = [
    Language {
        code: "en",
        weight: 40,
        greeting: "Hi there,",
        subjects: [
            "Order has not arrived",
            "I was charged twice",
            "Cannot log in after the update",
            "Question about my invoice",
        ],
        customer: [
            "I have been waiting for two weeks and nobody has answered me.",
            "The app closes by itself every time I open the basket.",
            "Could you please check what happened to my order?",
            "This is the third time I am writing about the same thing.",
            "I would like my money back, please.",
        ],
        agent: [
            "Thank you for your patience, I have looked into this for you.",
            "I have refunded the amount; it takes three to five days to arrive.",
            "Could you send us a screenshot of the message that you see?",
            "I have passed this on to our second level and will come back to you tomorrow.",
        ],
        closing: "Best regards",
    },
    Language {
        code: "de",
        weight: 15,
        greeting: "Guten Tag,",
        subjects: [
            "Bestellung nicht angekommen",
            "Doppelt abgebucht",
            "Anmeldung geht nicht mehr",
            "Frage zur Rechnung",
        ],
        customer: [
            "ich warte seit zwei Wochen und höre nichts von Ihnen.",
            "Die App stürzt ständig ab, sobald ich den Warenkorb öffne.",
            "Könnten Sie bitte prüfen, was mit meiner Bestellung passiert ist?",
            "Das ist jetzt schon das dritte Mal, dass ich schreibe.",
            "Ich möchte mein Geld zurück – über 1.234,56 €!",
        ],
        agent: [
            "vielen Dank für Ihre Geduld, ich habe den Vorgang geprüft.",
            "Der Betrag ist erstattet und kommt in drei bis fünf Werktagen an.",
            "Könnten Sie uns bitte einen Screenshot der Meldung schicken?",
            "Ich habe das an die Kollegen weitergegeben und melde mich morgen.",
        ],
        closing: "Mit freundlichen Grüßen",
    },
    Language {
        code: "fr",
        weight: 9,
        greeting: "Bonjour,",
        subjects: [
            "Commande non reçue",
            "Débité deux fois",
            "Connexion impossible",
            "Question sur ma facture",
        ],
        customer: [
            "j'attends depuis deux semaines et personne ne m'a répondu.",
            "L'application se ferme dès que j'ouvre le panier.",
            "Pourriez-vous vérifier où en est ma commande ?",
            "C'est la troisième fois que je vous écris à ce sujet.",
            "Je souhaite être remboursée, s'il vous plaît.",
        ],
        agent: [
            "merci de votre patience, j'ai vérifié votre dossier.",
            "Le montant a été remboursé ; comptez trois à cinq jours.",
            "Pourriez-vous nous envoyer une capture d'écran du message ?",
            "J'ai transmis à l'équipe concernée et je reviens vers vous demain.",
        ],
        closing: "Bien cordialement",
    },
    Language {
        code: "es",
        weight: 9,
        greeting: "Hola:",
        subjects: [
            "El pedido no ha llegado",
            "Me cobraron dos veces",
            "No puedo iniciar sesión",
            "Duda sobre la factura",
        ],
        customer: [
            "Llevo dos semanas esperando y nadie me contesta.",
            "¡La aplicación se cierra cada vez que abro el carrito!",
            "¿Podrían comprobar qué ha pasado con mi pedido?",
            "Es la tercera vez que escribo por lo mismo.",
            "Quiero que me devuelvan el dinero, por favor.",
        ],
        agent: [
            "Gracias por su paciencia, he revisado su caso.",
            "Hemos devuelto el importe; tarda de tres a cinco días.",
            "¿Podría enviarnos una captura del mensaje?",
            "Lo he pasado al equipo y le escribo mañana.",
        ],
        closing: "Un saludo",
    },
    Language {
        code: "it",
        weight: 5,
        greeting: "Buongiorno,",
        subjects: [
            "Ordine non arrivato",
            "Addebito doppio",
            "Non riesco ad accedere",
            "Domanda sulla fattura",
        ],
        customer: [
            "aspetto da due settimane e nessuno mi risponde.",
            "L'app si chiude ogni volta che apro il carrello.",
            "Potreste controllare cosa è successo al mio ordine?",
            "È la terza volta che scrivo per lo stesso motivo.",
            "Vorrei il rimborso, grazie.",
        ],
        agent: [
            "grazie per la pazienza, ho verificato la sua pratica.",
            "L'importo è stato rimborsato; arriva in tre-cinque giorni.",
            "Può inviarci una schermata del messaggio?",
            "Ho passato la richiesta ai colleghi e la ricontatto domani.",
        ],
        closing: "Cordiali saluti",
    },
    Language {
        code: "pt",
        weight: 5,
        greeting: "Olá,",
        subjects: [
            "O pedido não chegou",
            "Cobrança em dobro",
            "Não consigo entrar",
            "Dúvida sobre a fatura",
        ],
        customer: [
            "estou esperando há duas semanas e ninguém responde.",
            "O aplicativo fecha sozinho quando abro o carrinho.",
            "Poderiam verificar o que aconteceu com o meu pedido?",
            "É a terceira vez que escrevo sobre isso.",
            "Quero o meu dinheiro de volta, por favor.",
        ],
        agent: [
            "obrigado pela paciência, verifiquei o seu caso.",
            "O valor foi devolvido; leva de três a cinco dias.",
            "Poderia enviar uma captura da mensagem?",
            "Encaminhei à equipe e volto a escrever amanhã.",
        ],
        closing: "Atenciosamente",
    },
    Language {
        code: "pl",
        weight: 4,
        greeting: "Dzień dobry,",
        subjects: [
            "Zamówienie nie dotarło",
            "Podwójna płatność",
            "Nie mogę się zalogować",
            "Pytanie o fakturę",
        ],
        customer: [
            "czekam już dwa tygodnie i nikt mi nie odpowiada.",
            "Aplikacja zamyka się, gdy otwieram koszyk.",
            "Czy mogą Państwo sprawdzić, co się stało z moim zamówieniem?",
            "Piszę w tej sprawie już trzeci raz.",
            "Proszę o zwrot pieniędzy.",
        ],
        agent: [
            "dziękuję za cierpliwość, sprawdziłem zgłoszenie.",
            "Kwota została zwrócona; potrwa to od trzech do pięciu dni.",
            "Czy może Pani przesłać zrzut ekranu?",
            "Przekazałem sprawę dalej i odezwę się jutro.",
        ],
        closing: "Pozdrawiam",
    },
    Language {
        code: "ru",
        weight: 3,
        greeting: "Здравствуйте!",
        subjects: [
            "Заказ не пришёл",
            "Списали дважды",
            "Не могу войти",
            "Вопрос по счёту",
        ],
        customer: [
            "Жду уже две недели, и никто не отвечает.",
            "Приложение закрывается, когда я открываю корзину.",
            "Проверьте, пожалуйста, что случилось с моим заказом.",
            "Пишу об этом уже в третий раз.",
            "Верните, пожалуйста, деньги.",
        ],
        agent: [
            "Спасибо за терпение, я проверила ваш вопрос.",
            "Сумма возвращена, придёт за три–пять дней.",
            "Пришлите, пожалуйста, снимок экрана.",
            "Передал коллегам и вернусь к вам завтра.",
        ],
        closing: "С уважением",
    },
    Language {
        code: "tr",
        weight: 3,
        greeting: "Merhaba,",
        subjects: [
            "Sipariş gelmedi",
            "İki kez ücret alındı",
            "Giriş yapamıyorum",
            "Fatura hakkında soru",
        ],
        customer: [
            "iki haftadır bekliyorum ve kimse cevap vermedi.",
            "Sepeti açınca uygulama kapanıyor.",
            "Siparişime ne olduğunu kontrol eder misiniz?",
            "Aynı konuda üçüncü kez yazıyorum.",
            "Paramı geri istiyorum, lütfen.",
        ],
        agent: [
            "sabrınız için teşekkürler, konuyu inceledim.",
            "Tutar iade edildi; üç ile beş gün sürer.",
            "Mesajın ekran görüntüsünü gönderir misiniz?",
            "Konuyu ilgili ekibe ilettim, yarın size yazacağım.",
        ],
        closing: "Saygılarımla",
    },
    Language {
        code: "ja",
        weight: 3,
        greeting: "お世話になっております。",
        subjects: [
            "商品が届きません",
            "二重に請求されました",
            "ログインできません",
            "請求書について",
        ],
        customer: [
            "二週間待っていますが、まだ返事がありません。",
            "カートを開くとアプリが落ちてしまいます。",
            "注文の状況を確認していただけますか。",
            "同じ件で三回目の連絡です。",
            "返金をお願いいたします。",
        ],
        agent: [
            "お待たせして申し訳ございません。内容を確認いたしました。",
            "返金の手続きをいたしました。三日から五日かかります。",
            "画面の写真をお送りいただけますか。",
            "担当部署に引き継ぎ、明日ご連絡いたします。",
        ],
        closing: "よろしくお願いいたします",
    },
    Language {
        code: "zh",
        weight: 2,
        greeting: "您好：",
        subjects: ["订单没有收到", "被重复扣款", "无法登录", "关于发票的问题"],
        customer: [
            "我已经等了两个星期，没有人回复我。",
            "一打开购物车，应用就闪退。",
            "请帮我查一下订单的情况。",
            "这是我第三次写信了。",
            "请把钱退给我。",
        ],
        agent: [
            "感谢您的耐心，我已经查过了。",
            "款项已退回，三到五天到账。",
            "能否发一张截图给我们？",
            "我已转给同事，明天给您答复。",
        ],
        closing: "此致敬礼",
    },
    Language {
        code: "ar",
        weight: 2,
        greeting: "مرحبًا،",
        subjects: [
            "لم يصل الطلب",
            "تم الخصم مرتين",
            "لا أستطيع تسجيل الدخول",
            "سؤال عن الفاتورة",
        ],
        customer: [
            "أنتظر منذ أسبوعين ولم يرد عليّ أحد.",
            "يغلق التطبيق كلما فتحت السلة.",
            "هل يمكنكم التحقق من طلبي؟",
            "هذه المرة الثالثة التي أكتب فيها.",
            "أريد استرداد نقودي من فضلكم.",
        ],
        agent: [
            "شكرًا لصبركم، راجعت المسألة.",
            "تمت إعادة المبلغ وسيصل خلال أيام.",
            "هل يمكنكم إرسال صورة للشاشة؟",
            "حولت الأمر إلى الزملاء وسأعود إليكم غدًا.",
        ],
        closing: "مع التحية",
    },
];

/// Texts that careless readers stumble over.
const HOSTILE: [&str; 16] = [
    "N/A",
    "null",
    "00012345",
    "1e5",
    "TRUE",
    "' OR '1'='1",
    "<script>alert(\"x\")</script>",
    "=HYPERLINK(\"http://example.com\";\"click\")",
    "Robert'); DROP TABLE cases;--",
    "${jndi:ldap://example.com/a}",
    "../../etc/passwd\\u0000",
    "right\u{202e}to left",
    "zero\u{200b}width\u{feff}",
    "Z\u{351}\u{36b}a\u{343}lgo",
    "tab\tnext\u{b}vertical",
    "👩‍👩‍👧‍👦🏳️‍🌈 𝕳𝖊𝖑𝖑𝖔 \u{1f1e9}\u{1f1ea}",
];

const EMOJI: [&str; 8] = ["🙏", "😡", "👍🏽", "😀", "💶", "🤦‍♀️", "❤️", "🚀"];

/// A language, the common ones likelier.
pub(super) fn language(random: &mut Random) -> usize {
    let mut place = random.below(100);
    for (index, language) in LANGUAGES.iter().enumerate() {
        if place < language.weight {
            return index;
        }
        place -= language.weight;
    }
    0
}

/// A subject line.
pub(super) fn subject(random: &mut Random, language: usize) -> String {
    if random.chance(0.01) {
        return (*random.pick(&HOSTILE)).to_owned();
    }
    let subject = *random.pick(&LANGUAGES[language].subjects);
    match random.below(8) {
        0 => format!("{subject} (#{:06})", random.below(1_000_000)),
        1 => format!("URGENT: {subject} {}", random.pick(&EMOJI)),
        2 => format!("Re: {subject}"),
        _ => subject.to_owned(),
    }
}

/// A short text: a comment, or the first lines of a message.
pub(super) fn note(random: &mut Random, language: usize, by_agent: bool) -> String {
    if random.chance(0.01) {
        return (*random.pick(&HOSTILE)).to_owned();
    }
    let language = &LANGUAGES[language];
    let mut text = String::new();
    for place in 0..=random.below(4) {
        if place > 0 {
            text.push_str(if random.chance(0.3) { "\r\n" } else { " " });
        }
        let sentence = if by_agent {
            *random.pick(&language.agent)
        } else {
            *random.pick(&language.customer)
        };
        text.push_str(sentence);
    }
    if random.chance(0.15) {
        text.push(' ');
        text.push_str(random.pick::<&str>(&EMOJI));
    }
    if random.chance(0.1) {
        _ = write!(text, " [ref:{:08x}]", random.below(1 << 30));
    }
    text
}

/// A message as plain text with CRLF line ends; a few are very long.
pub(super) fn message(random: &mut Random, language: usize, by_agent: bool, quoted: Option<&str>) -> String {
    let words = &LANGUAGES[language];
    let mut text = format!(
        "{}\r\n\r\n{}\r\n",
        words.greeting,
        note(random, language, by_agent)
    );
    let size = random.below(500);
    if size == 0 {
        long_log(random, &mut text, 120_000);
    } else if size < 10 {
        long_log(random, &mut text, 12_000);
    }
    text.push_str("\r\n");
    text.push_str(words.closing);
    text.push_str("\r\n-- \r\n");
    if let Some(quoted) = quoted {
        text.push_str("\r\n> ");
        let start: String = quoted.chars().take(400).collect();
        text.push_str(&start.replace("\r\n", "\r\n> "));
    }
    text
}

/// A pasted log, as customers send them.
fn long_log(random: &mut Random, text: &mut String, most: usize) {
    let size = most / 2 + random.below(most / 2);
    let mut line = 0;
    while text.len() < size {
        _ = write!(
            text,
            "\r\n2024-0{}-1{} 12:{:02}:{:02} WARN worker-{} retry={} path=/api/v1/orders/{:07} «läuft nicht»",
            random.below(9) + 1,
            random.below(9),
            line % 60,
            random.below(60),
            random.below(16),
            random.below(5),
            random.below(10_000_000)
        );
        line += 1;
    }
}

/// The same message as a mail program writes it.
pub(super) fn html(random: &mut Random, text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace("\r\n", "<br>\r\n");
    let style = match random.below(3) {
        0 => "<style>p.MsoNormal{margin:0cm;font-family:\"Calibri\",sans-serif;}</style>",
        1 => "<!-- generated --><meta charset=\"utf-8\">",
        _ => "",
    };
    let image = if random.chance(0.1) {
        "<img src=\"cid:logo@example.com\" width=\"1\" height=\"1\">"
    } else {
        ""
    };
    format!(
        "<html><head>{style}</head><body dir=\"auto\"><div class=\"x\">{escaped}</div>{image}</body></html>"
    )
}

/// One of the texts that careless readers stumble over.
pub(super) fn hostile(random: &mut Random) -> &'static str {
    random.pick::<&str>(&HOSTILE)
}
