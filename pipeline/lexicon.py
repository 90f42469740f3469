"""The words the rules know: free-mail hosts, legal forms, placeholders, titles, particles and nicknames."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(","))


# --- hosts that are nobody's company --------------------------------------------------------------------

FREE_MAIL: Final = _words(
    """
    gmail.com live.com live.co.uk live.fr live.de live.it live.nl live.be live.ca live.dk live.se live.no
    live.cn live.jp live.in live.ie live.at live.com.au live.com.mx live.com.ar live.com.pt live.cl live.co.za
    outlook.com outlook.fr outlook.de outlook.es outlook.it outlook.pt outlook.jp outlook.in outlook.ie
    outlook.at outlook.dk outlook.be outlook.sa outlook.cl outlook.cz outlook.hu outlook.kr outlook.ph
    outlook.sg outlook.co.th outlook.co.id outlook.com.au outlook.com.br outlook.com.ar outlook.com.tr
    outlook.com.gr outlook.com.vn msn.com msn.cn passport.com windowslive.com
    ymail.com rocketmail.com myyahoo.com icloud.com me.com mac.com privaterelay.appleid.com
    aol.com aol.co.uk aol.fr aol.de aol.it aol.es aol.com.au aol.com.br aim.com love.com netscape.net
    mail.com email.com usa.com post.com europe.com asia.com dr.com engineer.com consultant.com myself.com
    caramail.com inbox.com hushmail.com hush.com fastmail.com fastmail.fm hey.com zoho.com zohomail.com
    zohomail.eu zohomail.in proton.me protonmail.com protonmail.ch pm.me tutanota.com tutanota.de tutamail.com
    tuta.io tuta.com keemail.me mailbox.org posteo.de posteo.net posteo.org disroot.org riseup.net runbox.com
    startmail.com mailfence.com duck.com simplelogin.com relay.firefox.com mozmail.com skiff.com lycos.com
    excite.com juno.com netzero.net netzero.com rediffmail.com in.com indiatimes.com sify.com
    mail.ru bk.ru list.ru inbox.ru internet.ru rambler.ru lenta.ru ya.ru narod.ru ukr.net i.ua meta.ua
    bigmir.net tut.by abv.bg mail.bg dir.bg seznam.cz email.cz centrum.cz post.cz atlas.cz volny.cz
    azet.sk zoznam.sk centrum.sk pobox.sk wp.pl onet.pl onet.eu op.pl o2.pl interia.pl interia.eu poczta.fm
    tlen.pl gazeta.pl vp.pl freemail.hu citromail.hu indamail.hu inbox.lv inbox.lt delfi.lt mail.ee hot.ee
    qq.com vip.qq.com foxmail.com 163.com 126.com yeah.net 188.com vip.163.com sina.com sina.cn sohu.com
    tom.com 21cn.com 139.com 189.cn wo.cn aliyun.com naver.com hanmail.net daum.net nate.com kakao.com
    docomo.ne.jp ezweb.ne.jp softbank.ne.jp nifty.com biglobe.ne.jp ocn.ne.jp excite.co.jp infoseek.jp
    pchome.com.tw hinet.net seed.net.tw singnet.com.sg netvigator.com bigpond.com bigpond.net.au
    optusnet.com.au
    iinet.net.au tpg.com.au ozemail.com.au xtra.co.nz slingshot.co.nz telkomsa.net mweb.co.za webmail.co.za
    web.de freenet.de t-online.de arcor.de online.de email.de kabelmail.de unitybox.de vodafone.de
    chello.at aon.at bluewin.ch hispeed.ch sunrise.ch
    orange.fr wanadoo.fr free.fr laposte.net sfr.fr neuf.fr bbox.fr numericable.fr aliceadsl.fr
    club-internet.fr voila.fr noos.fr cegetel.net libero.it virgilio.it alice.it tin.it tiscali.it inwind.it
    iol.it fastwebnet.it email.it pec.it telefonica.net terra.es ono.com movistar.es jazzfree.com
    sapo.pt mail.pt clix.pt telepac.pt iol.pt netcabo.pt telenet.be skynet.be proximus.be scarlet.be
    ziggo.nl kpnmail.nl planet.nl hetnet.nl xs4all.nl home.nl upcmail.nl casema.nl quicknet.nl chello.nl
    btinternet.com btopenworld.com virginmedia.com ntlworld.com blueyonder.co.uk talktalk.net tiscali.co.uk
    sky.com plus.com plusnet.com o2.co.uk orange.net eircom.net telia.com bredband.net comhem.se spray.se
    passagen.se online.no broadpark.no jubii.dk mail.dk ofir.dk stofanet.dk tdcadsl.dk get2net.dk
    luukku.com kolumbus.fi elisanet.fi suomi24.fi pp.inet.fi otenet.gr hol.gr forthnet.gr in.gr
    mynet.com superonline.com ttmail.com walla.co.il walla.com netvision.net.il bezeqint.net 012.net.il
    comcast.net xfinity.com verizon.net att.net sbcglobal.net bellsouth.net pacbell.net ameritech.net
    swbell.net prodigy.net cox.net charter.net rr.com roadrunner.com twc.com spectrum.net optonline.net
    optimum.net earthlink.net mindspring.com centurylink.net centurytel.net embarqmail.com q.com qwest.net
    frontier.com frontiernet.net windstream.net suddenlink.net cableone.net wowway.com rcn.com peoplepc.com
    rogers.com shaw.ca sympatico.ca bell.net videotron.ca telus.net cogeco.ca eastlink.ca sasktel.net mts.net
    uol.com.br bol.com.br terra.com.br ig.com.br globo.com globomail.com r7.com zipmail.com.br
    prodigy.net.mx infinitum.com.mx fibertel.com.ar arnet.com.ar speedy.com.ar ciudad.com.ar adinet.com.uy
    mailinator.com guerrillamail.com 10minutemail.com yopmail.com temp-mail.org trashmail.com sharklasers.com
    """
)
"""Domains whose addresses say nothing about an employer: free mail, internet providers, throw-away."""

FREE_MAIL_BRANDS: Final = _words("yahoo hotmail gmx yandex googlemail")
"""Names that are free mail under every public suffix: yahoo.co.jp, hotmail.fr, gmx.at, yandex.kz."""

LINK_HOSTS: Final = _words(
    """
    linkedin.com lnkd.in facebook.com fb.com fb.me instagram.com twitter.com x.com t.co youtube.com youtu.be
    tiktok.com pinterest.com snapchat.com threads.net reddit.com tumblr.com vk.com ok.ru weibo.com wechat.com
    telegram.org telegram.me t.me whatsapp.com wa.me discord.gg discord.com xing.com viadeo.com medium.com
    substack.com github.com gitlab.com bitbucket.org stackoverflow.com quora.com slideshare.net vimeo.com
    linktr.ee bit.ly tinyurl.com goo.gl ow.ly about.me bio.link beacons.ai carrd.co
    sites.google.com docs.google.com drive.google.com plus.google.com maps.google.com business.google.com
    g.page google.com crunchbase.com angel.co wellfound.com glassdoor.com indeed.com yelp.com trustpilot.com
    tripadvisor.com meetup.com eventbrite.com calendly.com wikipedia.org yellowpages.com
    """
)
"""Hosts where companies have a page: such a link in a website cell is not the company's own domain."""

LOCAL_SUFFIXES: Final = _words("localhost local localdomain internal intranet lan home arpa onion")

# --- companies ----------------------------------------------------------------------------------------

NO_COMPANY: Final = _phrases(
    """
    n/a, n.a, n.a., na, #n/a, none, no company, no name, not applicable, not available, not provided,
    not specified, not known, nil, null, (null), nan, undefined, unknown, unknown company, tbd, tba,
    tbc, test, test company, testing, asdf, xxx, self, myself, me, self employed, self-employed,
    selfemployed, freelance, freelancer, free lance, free-lance, sole trader, unemployed, retired,
    student, private, private person, privat, individual, personal, company name, your company,
    confidential, selbstständig, freiberuflich, indépendant, autónomo
    """
)
"""What people write where a company belongs when there is none (compared without case)."""

LEGAL_FORMS: Final = frozenset(
    tuple(form.split())
    for form in _phrases(
        """
        inc, incorporated, corp, corporation, co, company, ltd, limited, llc, l l c, llp, lp, lllp, pllc,
        plc, public limited company, cic, gmbh, mbh, ggmbh, gmbh and co, gmbh and co kg, gmbh and co kgaa,
        gmbh and co ohg, ug, ug haftungsbeschränkt, ag, ag and co kg, ag and co kgaa, kg, kgaa, ohg, gbr,
        se, se and co kg, se and co kgaa, sa, sas, sasu, sarl, sàrl, sà rl, eurl, sca, srl, srls, slu, sau,
        sapi de cv, sa de cv, s de rl de cv, de cv, ltda, limitada, eireli, lda, bv, bvba, nv, vof, vzw, ab,
        oy, oyj, abp, as, asa, aps, a s, ivs, ehf, kk, godo kaisha, kabushiki kaisha, pty, pty ltd,
        proprietary limited, pte, pte ltd, pvt, pvt ltd, private limited, sdn bhd, bhd, tbk, jsc, pjsc, ojsc,
        oao, ooo, zao, ood, eood, doo, sro, s r o, spol s r o, kft, zrt, nyrt, sp z oo, sp z o o, spzoo,
        sp k, sp j, oü, uab, sia, fze, fzco, fz llc, wll
        """
    )
)
"""Endings that say how a firm is registered, as folded words. Cut from the end only, never to nothing.

Not here because they are words too: spa (Day Spa), pc (Fix My PC), pa, which count only with their dots
("S.p.A."), and sci, ad, cv, sl, which never count. "& Co" stays: Merck & Co. and Merck KGaA are two firms.
"""

# --- people -------------------------------------------------------------------------------------------

NO_NAME: Final = _words("n/a n.a. #n/a none unknown undefined anonymous tbd tba tbc blank test -")
"""No name when it stands alone (compared without case); "na", "null" and "nan" are people's names."""

NULLS: Final = _words("NULL null (null) NaN nan #REF! #VALUE! #NAME?")
"""What programs write for nothing (compared with case: Mr Null exists)."""

HONORIFICS: Final = _words(
    """
    mr mrs ms miss mx dr prof professor doctor sir rev reverend herr frau dipl dipl-ing capt sgt maj lt
    mme mlle monsieur madame sr sra srta dott dottssa dra dhr mevr
    """
)
"""Forms of address that are nobody's given name (Don, Ing and Gen are)."""

CREDENTIALS: Final = _words(
    """
    phd dphil mba emba msc bsc llm llb esq esquire cpa cfa cfp cma acca aca fca pmp dds dmd dvm edd psyd
    pharmd shrm shrm-cp phr sphr gphr cissp cisa cism csm mph mpa beng obe mbe cbe pgdip frcs mrics frics
    """
)
SHORT_CREDENTIALS: Final = _words("ma ba bs ms md do ca pe rn jd med meng ret")
"""Degrees that are names too: they count only in capitals beside a name that is not (Yo-Yo Ma, Md Rahman)."""

GENERATIONS: Final = _words("jr sr junior senior ii iii iv")

PLAIN_LETTERS: Final = dict(zip("øłđðħıŋæœþ", ("o", "l", "d", "d", "h", "i", "n", "ae", "oe", "th"), strict=True))
"""Letters that Unicode does not take apart into a plain one and an accent."""

PARTICLES: Final = _words(
    """
    van von der den de del della di da das do dos du des la le les el al bin ibn ben bint abu af av zu zum
    zur ten ter te op st saint san santa 't vom lo degli dalla y
    """
)

_NICKNAMES: Final = """
    robert bob bobby rob robbie bert, william bill billy will willie liam, elizabeth elisabeth liz
    lizzie beth betty eliza betsy, katherine catherine kathryn kate kathy cathy katie katy kat
    kitty, michael mike mick mickey mikey, james jim jimmy jamie, thomas tom tommy, richard dick rick
    rich ricky richie, anthony antony tony, antonio toni tonio, alexander alex sandy sasha alec xander,
    alexandra alex sandra sasha lexi alexa, johannes hans johann hannes jan, jose pepe, francisco paco
    pancho, ignacio nacho, jesus chuy, john jack johnny jon, jonathan jon jonny, joseph joe joey,
    giuseppe beppe peppe, edward ed eddie ned ted, edwin ed eddie, theodore ted teddy theo, charles
    charlie chuck chas, christopher chris kit topher, christine christina chris tina chrissy, daniel dan
    danny, david dave davey, donald don donnie, douglas doug, eugene gene, frederick fred freddie
    freddy, friedrich fritz, gregory greg, henry harry hank, heinrich heinz heiner, jeffrey geoffrey
    jeff geoff, gerald jerry gerry, kenneth ken kenny, lawrence laurence larry, leonard leo len lenny,
    matthew matt, maximilian max, nathaniel nathan nate, nicholas nick nicky nico, nicolas nico nick,
    patrick pat paddy, patricia pat patty tricia trish, peter pete, philip phillip phil, raymond ray,
    ronald ron ronnie, samuel sam sammy, samantha sam, stephen steven steve, stephanie steph, timothy
    tim timmy, victoria vicky vicki tori, victor vic, vincent vince vinnie, walter walt wally, zachary
    zach zack, abigail abby, amanda mandy, andrew andy drew, andreas andi andy, angela angie, barbara
    barb babs, benjamin ben benny, bradley brad, cynthia cindy, deborah debra deb debbie, dorothy dot
    dottie, eleanor ellie nell nora, emily em, franklin frank, francis frank, franz francesco frank,
    gabriel gabe, gabriela gabriella gabi gaby, jacqueline jackie, jennifer jen jenny, jessica
    jess jessie, joshua josh, judith judy, kimberly kim, margaret maggie meg peggy marge greta, marjorie
    marge, martin marty, mohammed mohamed muhammad mohammad mo, natalie nat, pamela
    pam, rebecca becky becca, reginald reg reggie, rosemary rose rosie, rudolf rudi, sebastian seb
    basti, susan suzanne sue susie, tobias tobi, ulrich uli, wolfgang wolf, vladimir vova volodya,
    dmitry dmitri dima, ekaterina katya, aleksandr aleksandra sasha
    """


def _nicknames(text: str) -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = {}
    for number, line in enumerate(text.split(",")):
        for name in line.split():
            groups.setdefault(name, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in groups.items()}


NICKNAMES: Final = _nicknames(_NICKNAMES)
"""Folded given name -> the groups it belongs to; two names that share a group may be one person's."""

# --- titles -------------------------------------------------------------------------------------------

_RANKS: Final = {
    9: "founder cofounder owner ceo",
    8: "chairman chairwoman chair chief cfo coo cto cmo cio cro cpo ciso chro",
    7: "president partner",
    6: "principal managing svp evp",
    5: "vp vice",
    4: "director head",
    2: "manager lead",
    1: "senior",
}
SENIORITY: Final = {word: rank for rank, words in _RANKS.items() for word in words.split()}
"""How high a word in a title stands; from `DECIDES` up its bearer counts as a decision maker."""

DECIDES: Final = 4

DEPUTIES: Final = _words("assistant deputy associate secretary intern to trainee")
"""Words that make the high word in a title somebody else's: Assistant to the CEO."""

TITLE_FORMS: Final = {
    "chief executive officer": "ceo",
    "chief executive": "ceo",
    "chief financial officer": "cfo",
    "chief operating officer": "coo",
    "chief operations officer": "coo",
    "chief technology officer": "cto",
    "chief technical officer": "cto",
    "chief marketing officer": "cmo",
    "chief information officer": "cio",
    "chief information security officer": "ciso",
    "chief revenue officer": "cro",
    "chief product officer": "cpo",
    "chief human resources officer": "chro",
    "senior vice president": "svp",
    "executive vice president": "evp",
    "vice president": "vp",
    "co founder": "cofounder",
}
"""Long titles and the short ones they are equal to."""
